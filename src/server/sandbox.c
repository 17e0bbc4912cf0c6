#include "server/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/size.h"
#include "server/sandbox_filter.h"

// Landlock as the kernel documents it (Documentation/userspace-api/landlock.rst), declared here because the headers of
// many systems are older than their kernels. A version knows all that earlier ones do.
enum { CALL_CREATE = 444, CALL_ADD = 445, CALL_RESTRICT = 446 }; // on every processor
enum { CREATE_VERSION = 1, RULE_PATH = 1, RULE_PORT = 2 };
enum {
    EXECUTE = 1 << 0,
    WRITE_FILE = 1 << 1,
    READ_FILE = 1 << 2,
    READ_DIR = 1 << 3,
    REMOVE_FILE = 1 << 5,
    MAKE_REG = 1 << 8,
    TRUNCATE = 1 << 14,

    FILES_1 = (1 << 13) - 1, // every right of version 1
    FILES_2 = 1 << 13,       // moving between folders
    FILES_3 = TRUNCATE,
    FILES_5 = 1 << 15, // control of devices
    PORTS_4 = 3,       // binding and connecting
    BIND = 1,
    SCOPES_6 = 3, // abstract Unix sockets and signals
    OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE,
};

struct ruleset {
    uint64_t files, ports, scopes;
};

struct path_rule {
    uint64_t allowed;
    int32_t parent;
} __attribute__((packed));

struct port_rule {
    uint64_t allowed, port;
};

// Read at run time: how much memory there is, how many processors.
static const char *const always_readable[] = {
    "/proc/self",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/cpuinfo",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/sys/fs/cgroup",
    "/sys/kernel/mm/transparent_hugepage",
};

// ---- Landlock

static unsigned landlock_version(void)
{
    long version = syscall(CALL_CREATE, NULL, (size_t)0, (uint32_t)CREATE_VERSION);
    return version > 0 ? (unsigned)version : 0;
}

static struct ruleset handled(unsigned version)
{
    struct ruleset set = { .files = FILES_1 };
    if (version >= 2) set.files |= FILES_2;
    if (version >= 3) set.files |= FILES_3;
    if (version >= 5) set.files |= FILES_5;
    if (version >= 4) set.ports = PORTS_4;
    if (version >= 6) set.scopes = SCOPES_6;
    return set;
}

// Allows `rights` of files at a path or below it. Where it may be missing, that is no error.
static socle_status allow_path(int set, const char *path, uint64_t rights, bool may_miss, socle_error *err)
{
    struct stat info;
    int file = open(path, O_PATH | O_CLOEXEC);
    if (file < 0 && may_miss) return SOCLE_OK;
    if (file < 0 || fstat(file, &info) != 0) {
        if (file >= 0) close(file);
        return sc_fail(err, SOCLE_IO, "%s: cannot be let into the sandbox: %s", path, strerror(errno));
    }
    struct path_rule rule = { S_ISDIR(info.st_mode) ? rights : rights & OF_FILES, file };
    long code = syscall(CALL_ADD, set, RULE_PATH, &rule, 0u);
    int why = errno;
    close(file);
    if (code == 0 || may_miss) return SOCLE_OK;
    return sc_fail(err, SOCLE_IO, "%s: cannot be let into the sandbox: %s", path, strerror(why));
}

static socle_status allow_all(int set, const struct sc_sandbox_rules *rules, const struct ruleset *known,
                              socle_error *err)
{
    uint64_t reading = READ_FILE | READ_DIR;
    uint64_t writing = (reading | WRITE_FILE | REMOVE_FILE | MAKE_REG | TRUNCATE) & known->files;
    for (size_t i = 0; i < SC_COUNT(always_readable); i++)
        SC_TRY(allow_path(set, always_readable[i], reading, true, err));
    for (size_t i = 0; i < rules->n_readable; i++) SC_TRY(allow_path(set, rules->readable[i], reading, false, err));
    for (size_t i = 0; i < rules->n_writable; i++) SC_TRY(allow_path(set, rules->writable[i], writing, false, err));
    for (size_t i = 0; known->ports && i < rules->n_ports; i++) {
        struct port_rule rule = { BIND, rules->ports[i] };
        if (syscall(CALL_ADD, set, RULE_PORT, &rule, 0u) != 0)
            return sc_fail(err, SOCLE_IO, "port %u: cannot be let into the sandbox: %s", (unsigned)rules->ports[i],
                           strerror(errno));
    }
    return SOCLE_OK;
}

static socle_status confine_files(const struct sc_sandbox_rules *rules, unsigned version, socle_error *err)
{
    struct ruleset known = handled(version);
    int set = (int)syscall(CALL_CREATE, &known, sizeof known, 0u);
    if (set < 0) return sc_fail(err, SOCLE_IO, "the sandbox cannot be made: %s", strerror(errno));
    socle_status status = allow_all(set, rules, &known, err);
    if (status == SOCLE_OK && syscall(CALL_RESTRICT, set, 0u) != 0)
        status = sc_fail(err, SOCLE_IO, "the sandbox cannot be entered: %s", strerror(errno));
    close(set);
    return status;
}

// ---- both

// Threads of this process; 1 where that cannot be learned.
static unsigned count_threads(void)
{
    unsigned n = 0;
    DIR *folder = opendir("/proc/self/task");
    if (!folder) return 1;
    for (struct dirent *entry; (entry = readdir(folder));) n += entry->d_name[0] != '.';
    closedir(folder);
    return n;
}

static socle_status check_parts(const struct sc_sandbox_rules *rules, const struct sc_sandbox_state *state,
                                socle_error *err)
{
    if (!rules->required) return SOCLE_OK;
    if (!state->landlock)
        return sc_fail(
            err, SOCLE_UNSUPPORTED,
            "the sandbox is required, but this kernel has no Landlock (5.13 or later, with landlock in lsm=)");
    if (!state->calls)
        return sc_fail(err, SOCLE_UNSUPPORTED, "the sandbox is required, but system calls cannot be filtered here");
    if (!state->ports)
        return sc_fail(err, SOCLE_UNSUPPORTED, "the sandbox is required, but this kernel's Landlock knows no ports");
    return SOCLE_OK;
}

socle_status sc_sandbox_enter(const struct sc_sandbox_rules *rules, struct sc_sandbox_state *out, socle_error *err)
{
    struct sc_sandbox_state state = { .landlock = landlock_version() };
    unsigned n_threads = count_threads();
    if (n_threads != 1)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "the sandbox must be entered before threads are made; there are %u",
                       n_threads);
    tzset(); // reads the time zone's file while that can be opened
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return sc_fail(err, SOCLE_IO, "the sandbox cannot be entered: %s", strerror(errno));
    if (state.landlock) SC_TRY(confine_files(rules, state.landlock, err));
    SC_TRY(sc_sandbox_filter(rules->n_ports != 0, &state.calls, err));
    state.ports = state.landlock >= 4 || (state.calls && rules->n_ports == 0);
    *out = state;
    return check_parts(rules, &state, err);
}

void sc_sandbox_describe(const struct sc_sandbox_state *state, char out[SC_SANDBOX_TEXT_BYTES])
{
    char files[80];
    if (state->landlock) snprintf(files, sizeof files, "its own files only (Landlock %u)", state->landlock);
    else snprintf(files, sizeof files, "all files (this kernel has no Landlock)");
    snprintf(out, SC_SANDBOX_TEXT_BYTES, "%s; %s; %s", files,
             state->ports ? "no other ports" : "any port (this kernel's Landlock knows no ports)",
             state->calls ? "no other programs, no connections" : "every system call (no filter for this processor)");
}

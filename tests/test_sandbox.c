// The sandbox, by trying what it forbids: each test is a process that confines itself and then misbehaves.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/pool.h"
#include "server/key_store.h"
#include "server/keys.h"
#include "server/sandbox.h"

static char folder[] = "/tmp/socle-sandbox-XXXXXX"; // with readable/, writable/ and outside/
static uint16_t busy_port;                          // of the listening socket below
static int listening = -1;

enum { SKIPPED = 77 };

static const char *in_folder(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

// ---- in the child process

#define EXPECT(what)                                                                                                   \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            fprintf(stderr, "line %d: not so: %s (%s)\n", __LINE__, #what, strerror(errno));                           \
            _exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)
#define EXPECT_REFUSED(what, error) EXPECT((what) == -1 && errno == (error))

static struct sc_sandbox_state enter(const uint16_t *ports, size_t n_ports)
{
    char readable[128], writable[128];
    snprintf(readable, sizeof readable, "%s/readable", folder);
    snprintf(writable, sizeof writable, "%s/writable", folder);
    const char *reading = readable, *writing = writable;
    struct sc_sandbox_rules rules = { &reading, 1, &writing, 1, ports, n_ports, false };
    struct sc_sandbox_state state;
    socle_error err = { SOCLE_OK, "" };
    socle_status status = sc_sandbox_enter(&rules, &state, &err);
    if (status != SOCLE_OK) fprintf(stderr, "%s\n", err.message);
    EXPECT(status == SOCLE_OK);
    return state;
}

static struct sc_sandbox_state enter_files(void)
{
    struct sc_sandbox_state state = enter(NULL, 0);
    if (!state.landlock) _exit(SKIPPED);
    return state;
}

static void enter_calls(void)
{
    if (!enter(NULL, 0).calls) _exit(SKIPPED);
}

static int create(const char *name)
{
    int file = open(in_folder(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file >= 0) close(file);
    return file < 0 ? -1 : 0;
}

static int look(const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file >= 0) close(file);
    return file < 0 ? -1 : 0;
}

// ---- files

static void reads_and_writes_its_own(void)
{
    enter_files();
    EXPECT(look(in_folder("readable/file")) == 0);
    EXPECT(look(in_folder("readable")) == 0);
    EXPECT(look(in_folder("writable")) == 0);
    EXPECT(create("writable/new") == 0);
    EXPECT(create("writable/new") == 0);
    EXPECT(truncate(in_folder("writable/new"), 10) == 0);
    EXPECT(rename(in_folder("writable/new"), in_folder("writable/newer")) == 0);
    EXPECT(look(in_folder("writable/newer")) == 0);
    EXPECT(unlink(in_folder("writable/newer")) == 0);
    EXPECT(sc_memory_available() != UINT64_MAX && sc_memory_total() > 0);
    EXPECT(sc_processor_count() > 0);
    time_t now = time(NULL);
    EXPECT(localtime(&now));
}

static void reads_nothing_else(void)
{
    struct sc_sandbox_state state = enter_files();
    EXPECT_REFUSED(look("/etc/passwd"), EACCES);
    EXPECT_REFUSED(look("/"), EACCES);
    EXPECT_REFUSED(look("/proc/1/environ"), EACCES);
    EXPECT_REFUSED(look(in_folder("outside/file")), EACCES);
    EXPECT_REFUSED(look(in_folder("readable/../outside/file")), EACCES);
    EXPECT_REFUSED(look(in_folder("readable/link")), EACCES); // to outside/file
    EXPECT_REFUSED(chdir(in_folder("outside")) == 0 ? look("file") : 0, EACCES);
    if (state.landlock >= 3) EXPECT_REFUSED(truncate(in_folder("outside/file"), 0), EACCES);
}

static void writes_nothing_else(void)
{
    enter_files();
    EXPECT_REFUSED(create("new"), EACCES);
    EXPECT_REFUSED(create("outside/new"), EACCES);
    EXPECT_REFUSED(create("readable/new"), EACCES);
    EXPECT_REFUSED(create("readable/file"), EACCES);
    EXPECT_REFUSED(unlink(in_folder("readable/file")), EACCES);
    EXPECT_REFUSED(unlink(in_folder("outside/file")), EACCES);
    EXPECT(rename(in_folder("readable/file"), in_folder("writable/file")) == -1);
    EXPECT(link(in_folder("outside/file"), in_folder("writable/file")) == -1);
    EXPECT_REFUSED(mkdir(in_folder("writable/folder"), 0700), EACCES);
    EXPECT_REFUSED(symlink("/etc/passwd", in_folder("writable/link")), EACCES);
    EXPECT(mknod(in_folder("writable/pipe"), S_IFIFO | 0600, 0) == -1);
}

static void writes_no_modes_and_owners(void)
{
    enter_calls();
    EXPECT_REFUSED(chmod(in_folder("outside/file"), 0777), EPERM);
    EXPECT_REFUSED(chown(in_folder("outside/file"), getuid(), getgid()), EPERM);
    EXPECT_REFUSED(fchmodat(AT_FDCWD, in_folder("readable/file"), 0777, 0), EPERM);
    int file = open(in_folder("writable/mode"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    EXPECT(file >= 0 && fchmod(file, 0640) == 0); // SQLite does so with its journals
    EXPECT(unlink(in_folder("writable/mode")) == 0);
}

static void *look_outside(void *context)
{
    *(bool *)context = look(in_folder("outside/file")) == -1 && errno == EACCES;
    return NULL;
}

static void threads_are_confined_too(void)
{
    enter_files();
    pthread_t thread;
    bool refused = false;
    EXPECT(pthread_create(&thread, NULL, look_outside, &refused) == 0);
    EXPECT(pthread_join(thread, NULL) == 0);
    EXPECT(refused);
    struct sc_pool *pool;
    EXPECT(sc_pool_create(2, &pool, NULL) == SOCLE_OK);
    sc_pool_free(pool);
}

static void keys_work_inside(void)
{
    struct sc_key_store *store;
    struct sc_key key = { .name = "alice", .scopes = SC_SCOPE_CHAT }, found;
    char text[SC_KEY_TEXT_BYTES + 1];
    uint8_t hash[SC_KEY_HASH_BYTES];
    struct sc_keys *keys;
    const struct sc_usage usage = { 1, 2, 0, 3 };
    double wait;
    enter(NULL, 0);
    EXPECT(sc_key_make(text, NULL) == SOCLE_OK && sc_key_hash(text, hash, NULL) == SOCLE_OK);
    EXPECT(sc_key_store_open(in_folder("writable/keys.db"), true, &store, NULL) == SOCLE_OK);
    EXPECT(sc_key_store_add(store, &key, hash, NULL) == SOCLE_OK);
    sc_key_store_close(store);
    EXPECT(sc_keys_open(in_folder("writable/keys.db"), NULL, &keys, NULL) == SOCLE_OK);
    EXPECT(sc_keys_authenticate(keys, text, &found) == SC_KEY_FINE);
    EXPECT(sc_keys_begin(keys, found.id, &wait) == SC_KEY_FINE);
    sc_keys_end(keys, found.id, &usage);
    EXPECT(sc_keys_refresh(keys, NULL) == SOCLE_OK);
    EXPECT(sc_keys_close(keys, NULL) == SOCLE_OK);
    EXPECT(unlink(in_folder("writable/keys.db")) == 0);
}

// ---- programs and processes

static void starts_nothing(void)
{
    static char program[] = "/bin/true";
    char *argv[] = { program, NULL };
    enter_calls();
    EXPECT_REFUSED(execv(program, argv), EPERM);
    EXPECT_REFUSED(fork(), EPERM);
    EXPECT_REFUSED(syscall(__NR_clone, SIGCHLD, 0, 0, 0, 0), EPERM);
    EXPECT_REFUSED(syscall(__NR_execveat, -1, program, argv, NULL, 0), EPERM);
    EXPECT(system("true") != 0);
}

static void reaches_no_other_process(void)
{
    char byte;
    struct iovec here = { &byte, 1 };
    enter_calls();
    EXPECT_REFUSED(kill(getppid(), 0), EPERM);
    EXPECT_REFUSED(syscall(__NR_tgkill, getppid(), getppid(), 0), EPERM);
    EXPECT_REFUSED(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL), EPERM);
    EXPECT_REFUSED(process_vm_readv(getppid(), &here, 1, &here, 1, 0), EPERM);
    EXPECT_REFUSED(syscall(__NR_pidfd_open, getppid(), 0), EPERM);
    signal(SIGUSR1, SIG_IGN);
    EXPECT(raise(SIGUSR1) == 0); // its own threads it can reach
}

static void makes_no_code(void)
{
    enter_calls();
    EXPECT_REFUSED((intptr_t)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EPERM);
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT(page != MAP_FAILED);
    EXPECT_REFUSED(mprotect(page, 4096, PROT_READ | PROT_EXEC), EPERM);
    EXPECT(mprotect(page, 4096, PROT_READ) == 0);
}

static void administers_nothing(void)
{
    enter_calls();
    EXPECT_REFUSED(syscall(__NR_unshare, 0x10000000), EPERM);
    EXPECT_REFUSED(syscall(__NR_mount, "none", folder, "tmpfs", 0, NULL), EPERM);
    EXPECT_REFUSED(syscall(__NR_bpf, 0, NULL, 0), EPERM);
    EXPECT_REFUSED(syscall(__NR_perf_event_open, NULL, 0, -1, -1, 0), EPERM);
    EXPECT_REFUSED(syscall(__NR_io_uring_setup, 1, NULL), EPERM);
    EXPECT_REFUSED(syscall(__NR_userfaultfd, 0), EPERM);
    EXPECT_REFUSED(syscall(__NR_keyctl, 0, 0, 0, 0, 0), EPERM);
    EXPECT_REFUSED(setuid(getuid()), EPERM);
    EXPECT_REFUSED(chroot(folder), EPERM);
    char c = 'x';
    EXPECT_REFUSED(ioctl(0, TIOCSTI, &c), EPERM);
    EXPECT_REFUSED(syscall(5000), ENOSYS);       // a call that nobody knows yet
    EXPECT_REFUSED(syscall(0x40000027), ENOSYS); // x86-64's other way of calling
    EXPECT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
}

// ---- sockets

static struct sockaddr_in address_of(uint16_t port)
{
    return (
        struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
}

static void makes_no_sockets(void)
{
    int pair[2];
    int old = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = address_of(busy_port);
    enter_calls();
    EXPECT_REFUSED(socket(AF_INET, SOCK_STREAM, 0), EPERM);
    EXPECT_REFUSED(socket(AF_INET6, SOCK_DGRAM, 0), EPERM);
    EXPECT_REFUSED(socket(AF_UNIX, SOCK_STREAM, 0), EPERM);
    EXPECT_REFUSED(socket(AF_NETLINK, SOCK_RAW, 0), EPERM);
    EXPECT_REFUSED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), EPERM);
    EXPECT_REFUSED(connect(old, (struct sockaddr *)&address, sizeof address), EPERM);
    EXPECT_REFUSED(bind(old, (struct sockaddr *)&address, sizeof address), EPERM);
}

static void accepts_connections(void)
{
    char word[6] = "";
    enter_calls();
    int connection = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    EXPECT(connection >= 0);
    EXPECT(recv(connection, word, 5, MSG_WAITALL) == 5 && strcmp(word, "hello") == 0);
    EXPECT(send(connection, "there", 5, MSG_NOSIGNAL) == 5);
    close(connection);
}

static void binds_listed_ports_only(void)
{
    // A port that is free now, and surely not the next one.
    struct sockaddr_in address = address_of(0);
    socklen_t n = sizeof address;
    int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT(bind(probe, (struct sockaddr *)&address, sizeof address) == 0);
    EXPECT(getsockname(probe, (struct sockaddr *)&address, &n) == 0);
    close(probe);
    uint16_t port = ntohs(address.sin_port);
    struct sc_sandbox_state state = enter(&port, 1);
    if (!state.calls) _exit(SKIPPED);
    EXPECT_REFUSED(socket(AF_INET, SOCK_DGRAM, 0), EPERM);
    EXPECT_REFUSED(socket(AF_UNIX, SOCK_STREAM, 0), EPERM);
    EXPECT_REFUSED(socket(AF_INET, SOCK_STREAM, 262), EPERM); // several paths, which Landlock does not see as TCP
    int mine = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
    int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), six = socket(AF_INET6, SOCK_STREAM, 0);
    EXPECT(mine >= 0 && other >= 0 && (six >= 0 || errno == EAFNOSUPPORT));
    EXPECT(bind(mine, (struct sockaddr *)&address, sizeof address) == 0 && listen(mine, 1) == 0);
    struct sockaddr_in busy = address_of(busy_port), next = address_of(port == 65535 ? 65534 : port + 1);
    EXPECT_REFUSED(connect(other, (struct sockaddr *)&busy, sizeof busy), EPERM);
    EXPECT_REFUSED(sendto(other, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&busy, sizeof busy), EPERM);
    EXPECT(state.ports == (state.landlock >= 4));
    if (state.ports) EXPECT_REFUSED(bind(other, (struct sockaddr *)&next, sizeof next), EACCES);
}

// ---- entering

static void names_what_is_missing(void)
{
    const char *path = "/no/such/model.gguf";
    struct sc_sandbox_rules rules = { .readable = &path, .n_readable = 1 };
    struct sc_sandbox_state state;
    socle_error err;
    socle_status status = sc_sandbox_enter(&rules, &state, &err);
    if (status == SOCLE_OK && !state.landlock) _exit(SKIPPED);
    EXPECT(status == SOCLE_IO &&
           strstr(err.message, "/no/such/model.gguf: cannot be let into the sandbox: No such file"));
}

static void *wait_for_ever(void *context)
{
    (void)context;
    pause();
    return NULL;
}

static void comes_before_threads(void)
{
    pthread_t thread;
    struct sc_sandbox_rules rules = { 0 };
    struct sc_sandbox_state state;
    socle_error err;
    EXPECT(pthread_create(&thread, NULL, wait_for_ever, NULL) == 0);
    EXPECT(sc_sandbox_enter(&rules, &state, &err) == SOCLE_BAD_ARGUMENT && strstr(err.message, "there are 2"));
    EXPECT(look("/etc/passwd") == 0);
}

static void entering_twice_confines_more(void)
{
    const char *path = in_folder("readable");
    struct sc_sandbox_rules rules = { .readable = &path, .n_readable = 1 };
    struct sc_sandbox_state state;
    enter_files();
    // The filter denies nothing that entering needs.
    EXPECT(sc_sandbox_enter(&rules, &state, NULL) == SOCLE_OK);
    EXPECT(look(in_folder("readable/file")) == 0);
    EXPECT_REFUSED(create("writable/new"), EACCES);
}

// A kernel without Landlock, as far as this process can see.
static void hide_landlock(void)
{
    struct sock_filter code[] = {
        { BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr) },
        { BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 444 },
        { BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS },
        { BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW },
    };
    struct sock_fprog filter = { 4, code };
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) != 0) _exit(SKIPPED);
}

static void an_old_kernel_is_said(void)
{
    char text[SC_SANDBOX_TEXT_BYTES];
    hide_landlock();
    struct sc_sandbox_state state = enter(NULL, 0);
    EXPECT(state.landlock == 0);
    sc_sandbox_describe(&state, text);
    EXPECT(strstr(text, "all files (this kernel has no Landlock)"));
    EXPECT(look("/etc/passwd") == 0);
    if (state.calls) EXPECT_REFUSED(fork(), EPERM);
}

static void an_old_kernel_is_refused_where_it_matters(void)
{
    struct sc_sandbox_rules rules = { .required = true };
    struct sc_sandbox_state state;
    socle_error err;
    hide_landlock();
    EXPECT(sc_sandbox_enter(&rules, &state, &err) == SOCLE_UNSUPPORTED && strstr(err.message, "no Landlock"));
}

static void says_what_it_does(void)
{
    char text[SC_SANDBOX_TEXT_BYTES];
    struct sc_sandbox_state state = enter_files();
    sc_sandbox_describe(&state, text);
    EXPECT(strstr(text, "its own files only (Landlock "));
    EXPECT(strchr(text, '\n') == NULL && strlen(text) < SC_SANDBOX_TEXT_BYTES - 20);
    struct sc_sandbox_state nothing = { 0 };
    sc_sandbox_describe(&nothing, text);
    EXPECT(strstr(text, "every system call"));
}

// ---- running them

static void finish(pid_t child)
{
    int code;
    assert_int_equal(waitpid(child, &code, 0), child);
    if (WIFSIGNALED(code)) fail_msg("the process died of signal %d", WTERMSIG(code));
    if (WEXITSTATUS(code) == SKIPPED) skip();
    assert_int_equal(WEXITSTATUS(code), 0);
}

static pid_t start(void (*what)(void))
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        what();
        _exit(0);
    }
    return child;
}

static void in_a_process(void **state) { finish(start(*(void (**)(void)) * state)); }

static void a_client_is_served(void **state)
{
    (void)state;
    char word[6] = "";
    struct sockaddr_in address = address_of(busy_port);
    pid_t child = start(accepts_connections);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(send(client, "hello", 5, MSG_NOSIGNAL), 5);
    ssize_t n = recv(client, word, 5, MSG_WAITALL);
    close(client);
    finish(child);
    assert_int_equal(n, 5);
    assert_string_equal(word, "there");
}

static int prepare(void **state)
{
    (void)state;
    static const char *const folders[] = { "readable", "writable", "outside" };
    struct sockaddr_in address = address_of(0);
    socklen_t n = sizeof address;
    if (!mkdtemp(folder)) return -1;
    for (size_t i = 0; i < 3; i++)
        if (mkdir(in_folder(folders[i]), 0700) != 0) return -1;
    if (create("readable/file") != 0 || create("outside/file") != 0) return -1;
    if (symlink("../outside/file", in_folder("readable/link")) != 0) return -1;
    listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listening, (struct sockaddr *)&address, sizeof address) != 0 || listen(listening, 4) != 0) return -1;
    if (getsockname(listening, (struct sockaddr *)&address, &n) != 0) return -1;
    busy_port = ntohs(address.sin_port);
    return 0;
}

static int clean_up(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    close(listening);
    return system(command);
}

// A test is a function that a process runs; its address is the test's state.
#define PROCESS(name) static void (*run_##name)(void) = name;
#define PROCESSES(each)                                                                                                \
    each(reads_and_writes_its_own) each(reads_nothing_else) each(writes_nothing_else) each(writes_no_modes_and_owners) \
        each(threads_are_confined_too) each(keys_work_inside) each(starts_nothing) each(reaches_no_other_process)      \
            each(makes_no_code) each(administers_nothing) each(makes_no_sockets) each(binds_listed_ports_only)         \
                each(names_what_is_missing) each(comes_before_threads) each(entering_twice_confines_more)              \
                    each(an_old_kernel_is_said) each(an_old_kernel_is_refused_where_it_matters)                        \
                        each(says_what_it_does)
PROCESSES(PROCESS)

int main(void)
{
#define TEST(name) { #name, in_a_process, NULL, NULL, &run_##name },
    const struct CMUnitTest tests[] = { PROCESSES(TEST) cmocka_unit_test(a_client_is_served) };
    return cmocka_run_group_tests(tests, prepare, clean_up);
}

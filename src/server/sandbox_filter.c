// A program for the kernel's packet-filter machine that looks at each system call:
//
//     another processor's way of calling          the process is killed
//     a number newer than this list               ENOSYS: the C library takes an older call
//     a call of the list below                    EPERM
//     a call whose arguments matter               EPERM or not, as they say
//     all others                                  allowed
//
// A list of what is denied, not of what is allowed, because the C library's choice of calls changes from version to
// version; what is denied is what could start a program, reach another process or machine, or widen the kernel's
// surface.
#include "server/sandbox_filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/size.h"

#if defined(__x86_64__) && !defined(__ILP32__)
#define THIS_PROCESSOR AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && !defined(__AARCH64EB__)
#define THIS_PROCESSOR AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define THIS_PROCESSOR AUDIT_ARCH_RISCV64
#endif

#ifndef THIS_PROCESSOR

socle_status sc_sandbox_filter(bool listens, bool *filtered, socle_error *err)
{
    (void)listens;
    (void)err;
    *filtered = false;
    return SOCLE_OK;
}

#else

enum { NEWEST_CALL = 462, PROGRAM_MAX = 512 };
enum { FCHMODAT2 = 452 }; // on every processor; newer than many systems' headers
enum { ALLOW = (int)SECCOMP_RET_ALLOW, DENY = SECCOMP_RET_ERRNO | EPERM, UNKNOWN = SECCOMP_RET_ERRNO | ENOSYS };

static const int denied[] = {
    // programs and processes
    __NR_execve,
    __NR_execveat,
    __NR_ptrace,
    __NR_process_vm_readv,
    __NR_process_vm_writev,
    __NR_kcmp,
    __NR_pidfd_open,
    __NR_pidfd_getfd,
    __NR_pidfd_send_signal,
    __NR_process_madvise,
    __NR_kill,
    __NR_tkill,
    __NR_rt_sigqueueinfo,
    __NR_rt_tgsigqueueinfo,
    __NR_unshare,
    __NR_setns,
    __NR_personality,
    // connections
    __NR_connect,
    __NR_socketpair,
    __NR_shmget,
    __NR_shmat,
    __NR_shmctl,
    __NR_msgget,
    __NR_semget,
    __NR_mq_open,
    // who it is, and whose files are
    __NR_setuid,
    __NR_setgid,
    __NR_setreuid,
    __NR_setregid,
    __NR_setresuid,
    __NR_setresgid,
    __NR_setgroups,
    __NR_setfsuid,
    __NR_setfsgid,
    __NR_capset,
    __NR_fchmodat,
    __NR_fchownat,
    FCHMODAT2,
    __NR_setxattr,
    __NR_lsetxattr,
    __NR_removexattr,
    __NR_lremovexattr,
    __NR_mknodat,
    __NR_open_by_handle_at,
    __NR_name_to_handle_at,
    // large parts of the kernel that nothing here needs
    __NR_io_uring_setup,
    __NR_io_uring_enter,
    __NR_io_uring_register,
    __NR_bpf,
    __NR_perf_event_open,
    __NR_userfaultfd,
    __NR_fanotify_init,
    __NR_fanotify_mark,
    __NR_add_key,
    __NR_request_key,
    __NR_keyctl,
    __NR_lookup_dcookie,
    __NR_vmsplice,
    // the system's administration
    __NR_mount,
    __NR_umount2,
    __NR_pivot_root,
    __NR_chroot,
    __NR_open_tree,
    __NR_move_mount,
    __NR_fsopen,
    __NR_fsconfig,
    __NR_fsmount,
    __NR_fspick,
    __NR_mount_setattr,
    __NR_quotactl,
    __NR_quotactl_fd,
    __NR_swapon,
    __NR_swapoff,
    __NR_reboot,
    __NR_kexec_load,
    __NR_kexec_file_load,
    __NR_init_module,
    __NR_finit_module,
    __NR_delete_module,
    __NR_acct,
    __NR_settimeofday,
    __NR_clock_settime,
    __NR_adjtimex,
    __NR_clock_adjtime,
    __NR_sethostname,
    __NR_setdomainname,
    __NR_syslog,
    __NR_vhangup,
    __NR_nfsservctl,
#ifdef __x86_64__
    // their older forms
    __NR_fork,
    __NR_vfork,
    __NR_chmod,
    __NR_chown,
    __NR_lchown,
    __NR_mknod,
    __NR_uselib,
    __NR_modify_ldt,
    __NR_iopl,
    __NR_ioperm,
    __NR_create_module,
    __NR_get_kernel_syms,
    __NR_query_module,
    __NR__sysctl,
    __NR_sysfs,
    __NR_ustat,
#endif
};

struct program {
    struct sock_filter code[PROGRAM_MAX];
    size_t n;
};

static void emit(struct program *p, uint16_t code, uint32_t k, uint8_t if_true, uint8_t if_false)
{
    if (p->n < PROGRAM_MAX) p->code[p->n] = (struct sock_filter){ code, if_true, if_false, k };
    p->n++;
}

static void load(struct program *p, size_t offset) { emit(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0); }
static void end(struct program *p, uint32_t action) { emit(p, BPF_RET | BPF_K, action, 0, 0); }

// The lower half of an argument; these processors put it first.
static size_t argument(unsigned i) { return offsetof(struct seccomp_data, args) + i * sizeof(uint64_t); }

static void emit_action(struct program *p, int call, uint32_t action)
{
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 1);
    end(p, action);
}

// One action if any bit of `mask` is set in an argument, another if none is.
static void emit_mask(struct program *p, int call, unsigned i, uint32_t mask, uint32_t if_set, uint32_t if_clear)
{
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 4);
    load(p, argument(i));
    emit(p, BPF_JMP | BPF_JSET | BPF_K, mask, 0, 1);
    end(p, if_set);
    end(p, if_clear);
}

// One action if an argument is one of two values, another if it is not.
static void emit_values(struct program *p, int call, unsigned i, const uint32_t values[2], uint32_t if_equal,
                        uint32_t otherwise)
{
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 5);
    load(p, argument(i));
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, values[0], 1, 0);
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, values[1], 0, 1);
    end(p, if_equal);
    end(p, otherwise);
}

// socket(2) for TCP over IPv4 and IPv6 only.
static void emit_socket(struct program *p)
{
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, __NR_socket, 0, 11);
    load(p, argument(0));
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 1, 0);
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 7);
    load(p, argument(1));
    emit(p, BPF_ALU | BPF_AND | BPF_K, 0xf, 0, 0); // without SOCK_NONBLOCK and SOCK_CLOEXEC
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, SOCK_STREAM, 0, 4);
    load(p, argument(2));
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 1);
    end(p, ALLOW);
    end(p, DENY);
}

static void emit_sockets(struct program *p, bool listens)
{
    if (!listens) {
        emit_action(p, __NR_socket, DENY);
        emit_action(p, __NR_bind, DENY);
        return;
    }
    emit_socket(p);
    // A connection can begin with data, past connect(2).
    emit_mask(p, __NR_sendto, 3, MSG_FASTOPEN, DENY, ALLOW);
    emit_mask(p, __NR_sendmsg, 2, MSG_FASTOPEN, DENY, ALLOW);
    emit_mask(p, __NR_sendmmsg, 3, MSG_FASTOPEN, DENY, ALLOW);
}

static void write_program(struct program *p, bool listens)
{
    const uint32_t own[2] = { (uint32_t)getpid(), (uint32_t)getpid() }, terminal[2] = { TIOCSTI, 0x541c }; // TIOCLINUX
    load(p, offsetof(struct seccomp_data, arch));
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, THIS_PROCESSOR, 1, 0);
    end(p, SECCOMP_RET_KILL_PROCESS);
    load(p, offsetof(struct seccomp_data, nr));
    emit(p, BPF_JMP | BPF_JGT | BPF_K, NEWEST_CALL, 0, 1);
    end(p, UNKNOWN);
    for (size_t i = 0; i < SC_COUNT(denied); i++) emit_action(p, denied[i], DENY);
    // Threads, but no processes. The newer call has its flags in memory, where they cannot be looked at.
    emit_action(p, __NR_clone3, UNKNOWN);
    emit_mask(p, __NR_clone, 0, CLONE_THREAD, ALLOW, DENY);
    emit_values(p, __NR_tgkill, 0, own, ALLOW, DENY);
    // No code but what was there.
    emit_mask(p, __NR_mmap, 2, PROT_EXEC, DENY, ALLOW);
    emit_mask(p, __NR_mprotect, 2, PROT_EXEC, DENY, ALLOW);
    emit_mask(p, __NR_pkey_mprotect, 2, PROT_EXEC, DENY, ALLOW);
    // No typing into the terminal that it was started from.
    emit_values(p, __NR_ioctl, 1, terminal, DENY, ALLOW);
    emit_sockets(p, listens);
    end(p, ALLOW);
}

socle_status sc_sandbox_filter(bool listens, bool *filtered, socle_error *err)
{
    struct program program = { .n = 0 };
    write_program(&program, listens);
    struct sock_fprog filter = { (unsigned short)program.n, program.code };
    *filtered = false;
    if (program.n > PROGRAM_MAX) return sc_fail(err, SOCLE_FAILED, "the filter of system calls is too long");
    long code = syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter);
    if (code < 0 && (errno == ENOSYS || errno == EINVAL)) return SOCLE_OK; // a kernel without
    if (code != 0) return sc_fail(err, SOCLE_IO, "system calls cannot be filtered: %s", strerror(errno));
    *filtered = true;
    return SOCLE_OK;
}

#endif

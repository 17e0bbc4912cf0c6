#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { TEMPORARY_TRIES = 100 };

static socle_status fail_errno(socle_error *err, const char *path, const char *doing)
{
    return sc_fail(err, SOCLE_IO, "%s: cannot %s: %s", path, doing, strerror(errno));
}

socle_status sc_map_file(const char *path, struct sc_mapping *out, socle_error *err)
{
    // O_NONBLOCK: opening a pipe that nobody writes to must not hang.
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return fail_errno(err, path, "open");
    struct stat info;
    socle_status status = SOCLE_OK;
    void *data = MAP_FAILED;
    if (fstat(fd, &info) != 0) status = fail_errno(err, path, "examine");
    else if (S_ISDIR(info.st_mode)) status = sc_fail(err, SOCLE_IO, "%s: is a directory, expected a file", path);
    else if (!S_ISREG(info.st_mode))
        status = sc_fail(err, SOCLE_IO, "%s: is a device or pipe, expected a regular file", path);
    else if (info.st_size == 0) status = sc_fail(err, SOCLE_BAD_FILE, "%s: is empty", path);
    else if ((data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0)) == MAP_FAILED)
        status = fail_errno(err, path, "map");
    close(fd);
    if (status == SOCLE_OK) *out = (struct sc_mapping){ data, (size_t)info.st_size };
    return status;
}

void sc_unmap(struct sc_mapping *mapping)
{
    if (mapping->data) munmap((void *)(uintptr_t)mapping->data, mapping->n_bytes);
    *mapping = (struct sc_mapping){ 0 };
}

void sc_forget_pages(const void *data, size_t n_bytes)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = ((uintptr_t)data + page - 1) / page * page, end = ((uintptr_t)data + n_bytes) / page * page;
    if (begin < end) madvise((void *)begin, end - begin, MADV_DONTNEED);
}

socle_status sc_read_file(const char *path, size_t max_bytes, char **data, size_t *n_bytes, socle_error *err)
{
    bool standard_input = strcmp(path, "-") == 0;
    const char *name = standard_input ? "standard input" : path;
    int fd = standard_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail_errno(err, name, "open");
    size_t capacity = 1 << 16, n = 0;
    char *bytes = malloc(capacity);
    socle_status status = bytes ? SOCLE_OK : sc_fail_memory(err, capacity, name);
    while (status == SOCLE_OK) {
        if (n + 1 >= capacity) {
            char *more = realloc(bytes, capacity * 2);
            if (!more) {
                status = sc_fail_memory(err, capacity * 2, name);
                break;
            }
            bytes = more;
            capacity *= 2;
        }
        ssize_t got = read(fd, bytes + n, capacity - n - 1);
        if (got == 0) break;
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) status = fail_errno(err, name, "read");
        else if ((n += (size_t)got) > max_bytes)
            status = sc_fail(err, SOCLE_BAD_FILE, "%s: is longer than the %zu bytes allowed here", name, max_bytes);
    }
    if (!standard_input) close(fd);
    if (status != SOCLE_OK) {
        free(bytes);
        return status;
    }
    bytes[n] = '\0';
    *data = bytes;
    *n_bytes = n;
    return SOCLE_OK;
}

static bool write_all(int fd, const char *data, size_t n_bytes)
{
    while (n_bytes) {
        ssize_t n = write(fd, data, n_bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        data += n;
        n_bytes -= (size_t)n;
    }
    return true;
}

socle_status sc_write_file(const char *path, const void *data, size_t n_bytes, socle_error *err)
{
    // Renaming would put a plain file in the place of /dev/null or of a pipe.
    struct stat info;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))
        return sc_fail(err, SOCLE_IO, "%s: is a device or pipe, expected a regular file", path);
    size_t n_temp = strlen(path) + 16;
    char *temp = malloc(n_temp);
    if (!temp) return sc_fail_memory(err, n_temp, path);
    snprintf(temp, n_temp, "%s.XXXXXX", path);
    int fd = mkstemp(temp);
    if (fd < 0) {
        free(temp);
        return fail_errno(err, path, "create");
    }
    mode_t mask = umask(0);
    umask(mask);
    bool ok = fchmod(fd, 0666 & ~mask) == 0 && write_all(fd, data, n_bytes) && fsync(fd) == 0;
    int saved = errno;
    if (close(fd) != 0 && ok) {
        ok = false;
        saved = errno;
    }
    if (ok && rename(temp, path) != 0) {
        ok = false;
        saved = errno;
    }
    if (!ok) unlink(temp);
    free(temp);
    errno = saved;
    return ok ? SOCLE_OK : fail_errno(err, path, "write");
}

// A new file beside `path`, with the permissions that the user's mask gives any new file.
static socle_status create_temporary(struct sc_new_file *file, socle_error *err)
{
    size_t n_bytes = strlen(file->path) + 40;
    file->temporary = malloc(n_bytes);
    if (!file->temporary) return sc_fail_memory(err, n_bytes, "a path");
    int fd = -1;
    for (int i = 0; i < TEMPORARY_TRIES && fd < 0; i++) {
        snprintf(file->temporary, n_bytes, "%s.%ld.%d.part", file->path, (long)getpid(), i);
        fd = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno != EEXIST) break;
    }
    file->stream = fd < 0 ? NULL : fdopen(fd, "wb");
    if (file->stream) return SOCLE_OK;
    socle_status status = fail_errno(err, file->path, "create");
    if (fd >= 0) {
        close(fd);
        unlink(file->temporary);
    }
    free(file->temporary);
    return status;
}

// The new name itself should survive a power cut. Folders that cannot be synced are no reason to fail.
static void sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    free(folder);
}

socle_status sc_new_file_begin(const char *path, struct sc_new_file *out, socle_error *err)
{
    struct stat info;
    *out = (struct sc_new_file){ .path = path };
    // Renaming would replace a device or pipe by a file.
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return sc_fail(err, SOCLE_IO, "%s: is a %s, expected a file or nothing", path,
                       S_ISDIR(info.st_mode) ? "directory" : "device or pipe");
    return create_temporary(out, err);
}

socle_status sc_new_file_put(struct sc_new_file *file, const void *bytes, size_t n_bytes, socle_error *err)
{
    if (n_bytes == 0 || fwrite(bytes, 1, n_bytes, file->stream) == n_bytes) return SOCLE_OK;
    return fail_errno(err, file->path, "write");
}

socle_status sc_new_file_end(struct sc_new_file *file, socle_status status, socle_error *err)
{
    if (status == SOCLE_OK && (fflush(file->stream) != 0 || fsync(fileno(file->stream)) != 0))
        status = fail_errno(err, file->path, "write");
    if (fclose(file->stream) != 0 && status == SOCLE_OK) status = fail_errno(err, file->path, "write");
    if (status == SOCLE_OK && rename(file->temporary, file->path) != 0)
        status = fail_errno(err, file->path, "put the finished file in place");
    if (status != SOCLE_OK) unlink(file->temporary);
    else sync_folder(file->path);
    free(file->temporary);
    *file = (struct sc_new_file){ 0 };
    return status;
}

bool sc_same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

socle_status sc_check_space(const char *path, uint64_t n_bytes, socle_error *err)
{
    struct statvfs disk;
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    bool known = folder && statvfs(folder, &disk) == 0;
    uint64_t available = known ? (uint64_t)disk.f_bavail * disk.f_frsize : UINT64_MAX;
    free(folder);
    if (n_bytes <= available) return SOCLE_OK;
    return sc_fail(err, SOCLE_IO, "%s: No space left: the result takes %.2f MiB, but only %.2f MiB are free", path,
                   (double)n_bytes / 1048576.0, (double)available / 1048576.0);
}

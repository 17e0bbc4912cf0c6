// A folder of a test's own, in $TMPDIR or /tmp.
#ifndef SC_TESTS_FOLDER_H
#define SC_TESTS_FOLDER_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct folder {
    char path[512];
};

static struct folder make_folder(void)
{
    struct folder folder;
    const char *parent = getenv("TMPDIR");
    snprintf(folder.path, sizeof folder.path, "%s/socle-test-XXXXXX", parent ? parent : "/tmp");
    assert_non_null(mkdtemp(folder.path));
    return folder;
}

// A path inside; valid until the next call but three.
static const char *inside(const struct folder *folder, const char *name)
{
    static char paths[4][1024];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder->path, name);
    return path;
}

static inline size_t count_files(const struct folder *folder)
{
    DIR *list = opendir(folder->path);
    size_t n = 0;
    assert_non_null(list);
    for (struct dirent *entry; (entry = readdir(list));) n += entry->d_name[0] != '.';
    closedir(list);
    return n;
}

static void remove_folder(const struct folder *folder)
{
    DIR *list = opendir(folder->path);
    assert_non_null(list);
    for (struct dirent *entry; (entry = readdir(list));)
        if (entry->d_name[0] != '.' && unlink(inside(folder, entry->d_name)) != 0) rmdir(inside(folder, entry->d_name));
    closedir(list);
    assert_int_equal(rmdir(folder->path), 0);
}

#endif

/* Writes down what a program does to the files of one folder, and when it asks for it to be on disk.
 *
 * Preloaded. POWER_LOSS_FOLDER names the folder, POWER_LOSS_JOURNAL the file that is written to, outside of it. A record is a
 * line "kind offset length name\n", and after a write its bytes. A flush is written down and not done: what would be
 * lost with the power is worked out from the journal. Files in shared memory (-shm) do not survive, and are left out.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define FILES_MAX 4096
#define NEXT(name) static __typeof__(name) *next; if (!next) next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int journal = -1;
static char names[FILES_MAX][256]; /* by descriptor; empty: not one of the folder's */

static void note(const char *kind, const char *name, off_t offset, const void *data, size_t length) {
    static ssize_t (*next_write)(int, const void *, size_t);
    char line[512];
    if (!next_write) next_write = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    int size = snprintf(line, sizeof line, "%s %lld %zu %s\n", kind, (long long)offset, length, name);
    pthread_mutex_lock(&lock);
    if (journal < 0) journal = open(getenv("POWER_LOSS_JOURNAL"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (next_write(journal, line, size) != size) abort();
    if (data && next_write(journal, data, length) != (ssize_t)length) abort();
    pthread_mutex_unlock(&lock);
}

static const char *ours(int fd) { return fd >= 0 && fd < FILES_MAX && names[fd][0] ? names[fd] : NULL; }

static void opened(int fd, const char *path) {
    const char *folder = getenv("POWER_LOSS_FOLDER");
    size_t length = folder ? strlen(folder) : 0;
    if (fd < 0 || fd >= FILES_MAX) return;
    names[fd][0] = 0;
    if (length && !strcmp(path, folder)) strcpy(names[fd], "."); /* the folder itself, to flush its names */
    if (!length || strncmp(path, folder, length) || path[length] != '/') return;
    const char *name = path + length + 1;
    size_t end = strlen(name);
    if (strchr(name, '/') || end >= sizeof names[fd] || (end > 4 && !strcmp(name + end - 4, "-shm"))) return;
    strcpy(names[fd], name);
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        static int (*next)(const char *, int, ...); \
        va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
        if (!next) next = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name); \
        int fd = next(path, flags, mode); \
        opened(fd, path); \
        return fd; \
    }
OPEN(open)
OPEN(open64)

int close(int fd) {
    NEXT(close);
    if (ours(fd)) names[fd][0] = 0;
    return next(fd);
}

#define PWRITE(name, offset_type) \
    ssize_t name(int fd, const void *data, size_t length, offset_type offset) { \
        NEXT(name); \
        ssize_t done = next(fd, data, length, offset); \
        if (done > 0 && ours(fd)) note("write", ours(fd), offset, data, done); \
        return done; \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t write(int fd, const void *data, size_t length) {
    NEXT(write);
    off_t offset = ours(fd) ? lseek(fd, 0, SEEK_CUR) : 0;
    ssize_t done = next(fd, data, length);
    if (done > 0 && ours(fd)) note("write", ours(fd), offset, data, done);
    return done;
}

#define FTRUNCATE(name, size_type) \
    int name(int fd, size_type size) { \
        NEXT(name); \
        int failed = next(fd, size); \
        if (!failed && ours(fd)) note("cut", ours(fd), size, NULL, 0); \
        return failed; \
    }
FTRUNCATE(ftruncate, off_t)
FTRUNCATE(ftruncate64, off64_t)

#define FLUSH(name) \
    int name(int fd) { \
        NEXT(name); \
        if (!ours(fd)) return next(fd); \
        note("flush", ours(fd), 0, NULL, 0); \
        return 0; \
    }
FLUSH(fsync)
FLUSH(fdatasync)

int unlink(const char *path) {
    NEXT(unlink);
    const char *folder = getenv("POWER_LOSS_FOLDER");
    size_t length = folder ? strlen(folder) : 0;
    int failed = next(path);
    if (!failed && length && !strncmp(path, folder, length) && path[length] == '/') note("unlink", path + length + 1, 0, NULL, 0);
    return failed;
}

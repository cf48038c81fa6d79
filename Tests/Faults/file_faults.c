/* Files that fail: a layer between a program and its C library, for Linux.
 *
 *     cc -shared -fPIC -O2 -o file_faults.so file_faults.c -ldl
 *     FILE_FAULTS_FOLDER=$PWD/run FILE_FAULTS_AT=7 FILE_FAULTS_ERROR=ENOSPC LD_PRELOAD=./file_faults.so PROGRAM
 *
 * It counts the operations of a process that change files below a folder, and has the n-th one fail.
 *
 *   FILE_FAULTS_FOLDER   absolute path without links; operations elsewhere are neither counted nor touched
 *   FILE_FAULTS_AT       the operation that fails, counted from 1; 0 or nothing for none
 *   FILE_FAULTS_ERROR    how: ENOSPC, EIO, EDQUOT, EINTR, EPERM, ... or SHORT: a write takes half of its bytes
 *   FILE_FAULTS_STAYS    1: all later operations of that name fail as well, as on a disk that stays full
 *   FILE_FAULTS_LOG      a file outside the folder that takes every operation. A line
 *                            number TAB operation TAB file TAB path TAB other path TAB offset TAB bytes TAB error
 *                        and, of writes, the bytes themselves and a line feed behind it
 *
 * Operations: open (for writing, or to create), write, sync, truncate, rename, link, symlink, mkdir, unlink, rmdir,
 * close (of what was open for writing). `file` is the descriptor, -1 where there is none. A close that fails has closed
 * the file all the same, as on Linux; anything else that fails has done nothing. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MOST_FILES = 4096 };

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
/* What is open below the folder: its path, and whether it can be written. */
static struct { char *path; bool writes; } files[MOST_FILES];
static struct {
    bool isRead;
    char folder[PATH_MAX];
    long at;
    int error;
    bool isShort, stays;
    char name[16];
    int log;
} settings = {.log = -1};
static long count;

/* The function of the C library behind one of these. */
#define NEXT(name) ((__typeof__(&name))next(#name))
static void *next(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

static int number(const char *name) {
    static const struct { const char *name; int value; } known[] = {
        {"ENOSPC", ENOSPC}, {"EIO", EIO}, {"EDQUOT", EDQUOT}, {"EINTR", EINTR}, {"EPERM", EPERM},
        {"EACCES", EACCES}, {"EROFS", EROFS}, {"EBUSY", EBUSY}, {"EMFILE", EMFILE}, {"ENOTSUP", ENOTSUP},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(name, known[i].name)) return known[i].value;
    return EIO;
}

static void readSettings(void) {
    if (settings.isRead) return;
    settings.isRead = true;
    const char *folder = getenv("FILE_FAULTS_FOLDER"), *at = getenv("FILE_FAULTS_AT");
    const char *error = getenv("FILE_FAULTS_ERROR"), *log = getenv("FILE_FAULTS_LOG");
    const char *stays = getenv("FILE_FAULTS_STAYS");
    if (folder) snprintf(settings.folder, sizeof settings.folder, "%s", folder);
    settings.at = at ? atol(at) : 0;
    settings.isShort = error && !strcmp(error, "SHORT");
    settings.error = number(error ? error : "EIO");
    settings.stays = stays && *stays == '1';
    if (log && *log) settings.log = NEXT(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
}

/* An absolute path without "." and ".."; links are taken as they are. */
static void absolute(int folder, const char *path, char *result) {
    char whole[2 * PATH_MAX];
    if (*path == '/') {
        snprintf(whole, sizeof whole, "%s", path);
    } else {
        char base[PATH_MAX] = "";
        if (folder == AT_FDCWD) {
            if (!getcwd(base, sizeof base)) *base = 0;
        } else {
            char link[64];
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
            ssize_t length = readlink(link, base, sizeof base - 1);
            base[length > 0 ? length : 0] = 0;
        }
        snprintf(whole, sizeof whole, "%s/%s", base, path);
    }
    size_t end = 0;
    char *rest = whole;
    for (char *part; (part = strsep(&rest, "/"));) {
        if (!*part || !strcmp(part, ".")) continue;
        if (!strcmp(part, "..")) {
            while (end > 0 && result[--end] != '/') {}
            continue;
        }
        end += (size_t)snprintf(result + end, PATH_MAX - end, "/%s", part);
        if (end >= PATH_MAX) end = PATH_MAX - 1;
    }
    result[end] = 0;
}

static bool isBelow(const char *path) {
    size_t length = strlen(settings.folder);
    return length > 0 && !strncmp(path, settings.folder, length) && (path[length] == '/' || path[length] == 0);
}

static const char *pathOf(int file) {
    return file >= 0 && file < MOST_FILES && files[file].path ? files[file].path : NULL;
}

/* Counts an operation. 0, or the error that it is to end with; -1 for a write of half of its bytes. */
static int fault(const char *operation) {
    count++;
    bool isIt = settings.at > 0 && count == settings.at;
    if (isIt) snprintf(settings.name, sizeof settings.name, "%s", operation);
    if (!isIt && !(settings.stays && settings.at > 0 && count > settings.at && !strcmp(settings.name, operation)))
        return 0;
    if (!settings.isShort) return settings.error;
    return strcmp(operation, "write") ? 0 : -1;
}

static void note(
    const char *operation, int file, const char *path, const char *other, long long offset, long long bytes,
    int error, const struct iovec *pieces, int pieceCount) {
    if (settings.log < 0) return;
    int kept = errno;
    char line[2 * PATH_MAX + 128];
    int length = snprintf(
        line, sizeof line, "%ld\t%s\t%d\t%s\t%s\t%lld\t%lld\t%d\n", count, operation, file, path, other ? other : "",
        offset, bytes, error);
    __typeof__(&write) put = NEXT(write);
    if (put(settings.log, line, (size_t)length) < 0) abort();
    long long left = bytes;
    for (int i = 0; i < pieceCount && left > 0; i++) {
        long long part = left < (long long)pieces[i].iov_len ? left : (long long)pieces[i].iov_len;
        for (long long done = 0; done < part;) {
            ssize_t now = put(settings.log, (char *)pieces[i].iov_base + done, (size_t)(part - done));
            if (now <= 0) abort();
            done += now;
        }
        left -= part;
    }
    if (pieceCount > 0 && put(settings.log, "\n", 1) < 0) abort();
    errno = kept;
}

#define BEGIN pthread_mutex_lock(&lock); readSettings()
#define END pthread_mutex_unlock(&lock)

/* MARK: - Opening and closing */

static int opened(__typeof__(&openat) call, int folder, const char *path, int flags, mode_t mode) {
    BEGIN;
    char place[PATH_MAX];
    absolute(folder, path, place);
    bool writes = (flags & O_ACCMODE) != O_RDONLY;
    int error = 0, file = -1;
    if (!isBelow(place)) {
        file = call(folder, path, flags, mode);
    } else {
        bool counts = writes || flags & O_CREAT;
        error = counts ? fault("open") : 0;
        struct stat before;
        bool isNew = counts && fstatat(folder, path, &before, 0) != 0;
        if (error > 0) errno = error; else file = call(folder, path, flags, mode);
        if (file >= 0 && file < MOST_FILES) {
            free(files[file].path);
            files[file].path = strdup(place);
            files[file].writes = counts;
        }
        if (counts) {
            int failed = file < 0 ? errno : 0;
            note("open", file, place, isNew ? "new" : flags & O_TRUNC ? "emptied" : "", 0, 0, failed, NULL, 0);
        }
    }
    END;
    return file;
}

#define MODE mode_t mode = 0; if (flags & (O_CREAT | O_TMPFILE)) { \
    va_list list; va_start(list, flags); mode = (mode_t)va_arg(list, int); va_end(list); }

int open(const char *path, int flags, ...) { MODE return opened(NEXT(openat), AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE return opened(NEXT(openat), AT_FDCWD, path, flags, mode); }
int openat(int folder, const char *path, int flags, ...) {
    MODE return opened(NEXT(openat), folder, path, flags, mode);
}
int openat64(int folder, const char *path, int flags, ...) {
    MODE return opened(NEXT(openat), folder, path, flags, mode);
}
int __open_2(const char *path, int flags) { return opened(NEXT(openat), AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return opened(NEXT(openat), AT_FDCWD, path, flags, 0); }
int creat(const char *path, mode_t mode) {
    return opened(NEXT(openat), AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

/* Names that the C library makes up itself. */
static int madeUp(char *template, int suffix, int flags) {
    for (int tries = 0; tries < 100; tries++) {
        char *place = template + strlen(template) - (size_t)suffix - 6, name[PATH_MAX];
        snprintf(name, sizeof name, "%s", template);
        char *varied = name + (place - template);
        for (int i = 0; i < 6; i++) varied[i] = "0123456789abcdefghijklmnopqrstuv"[random() % 32];
        int file = opened(NEXT(openat), AT_FDCWD, name, O_RDWR | O_CREAT | O_EXCL | flags, 0600);
        if (file >= 0) memcpy(place, varied, 6);
        if (file >= 0 || errno != EEXIST) return file;
    }
    return -1;
}
int mkstemp(char *template) { return madeUp(template, 0, 0); }
int mkstemp64(char *template) { return madeUp(template, 0, 0); }
int mkostemp(char *template, int flags) { return madeUp(template, 0, flags); }
int mkostemp64(char *template, int flags) { return madeUp(template, 0, flags); }

int close(int file) {
    BEGIN;
    const char *path = pathOf(file);
    int error = 0, result;
    bool counts = path && files[file].writes;
    if (counts) error = fault("close");
    result = NEXT(close)(file);
    if (error > 0) { errno = error; result = -1; }
    if (counts) note("close", file, path, NULL, 0, 0, result == 0 ? 0 : errno, NULL, 0);
    if (path) {
        int kept = errno;
        free(files[file].path);
        files[file].path = NULL;
        errno = kept;
    }
    END;
    return result;
}

/* MARK: - Contents */

/* offset -1: where the file stands. */
static ssize_t written(int file, const struct iovec *pieces, int pieceCount, off_t offset) {
    BEGIN;
    const char *path = pathOf(file);
    ssize_t result;
    struct iovec *half = NULL;
    if (!path) {
        result = offset < 0 ? NEXT(writev)(file, pieces, pieceCount) : NEXT(pwritev)(file, pieces, pieceCount, offset);
        END;
        return result;
    }
    int error = fault("write"), used = pieceCount;
    if (error < 0) {
        size_t all = 0, left;
        for (int i = 0; i < pieceCount; i++) all += pieces[i].iov_len;
        left = (all + 1) / 2;
        half = calloc((size_t)pieceCount + 1, sizeof *half);
        for (used = 0; used < pieceCount && left > 0; used++) {
            half[used] = pieces[used];
            if (half[used].iov_len > left) half[used].iov_len = left;
            left -= half[used].iov_len;
        }
        pieces = half;
    }
    if (error > 0) {
        errno = error;
        result = -1;
    } else if (offset < 0) {
        result = NEXT(writev)(file, pieces, used);
    } else {
        result = NEXT(pwritev)(file, pieces, used, offset);
    }
    int failed = result < 0 ? errno : 0;
    long long place = offset >= 0 ? offset : result > 0 ? (long long)lseek(file, 0, SEEK_CUR) - result : 0;
    note("write", file, path, NULL, place, result > 0 ? result : 0, failed, pieces, used);
    free(half);
    errno = failed;
    END;
    return result;
}

ssize_t write(int file, const void *bytes, size_t length) {
    if (!pathOf(file)) return NEXT(write)(file, bytes, length);
    return written(file, &(struct iovec){(void *)bytes, length}, 1, -1);
}
ssize_t writev(int file, const struct iovec *pieces, int pieceCount) { return written(file, pieces, pieceCount, -1); }
ssize_t pwrite(int file, const void *bytes, size_t length, off_t offset) {
    return written(file, &(struct iovec){(void *)bytes, length}, 1, offset);
}
ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t offset) {
    return written(file, &(struct iovec){(void *)bytes, length}, 1, offset);
}
ssize_t pwritev(int file, const struct iovec *pieces, int pieceCount, off_t offset) {
    return written(file, pieces, pieceCount, offset);
}

/* What takes a descriptor and needs no more than the descriptor. */
#define ON_FILE(operation, file, offset, call) \
    BEGIN; \
    const char *path = pathOf(file); \
    int error = path ? fault(operation) : 0, result; \
    if (error > 0) { errno = error; result = -1; } else result = (call); \
    if (path) note(operation, file, path, NULL, offset, 0, result == 0 ? 0 : errno, NULL, 0); \
    END; \
    return result

int fsync(int file) { ON_FILE("sync", file, 0, NEXT(fsync)(file)); }
int fdatasync(int file) { ON_FILE("sync", file, 0, NEXT(fdatasync)(file)); }
int ftruncate(int file, off_t length) { ON_FILE("truncate", file, length, NEXT(ftruncate)(file, length)); }
int ftruncate64(int file, off64_t length) { ON_FILE("truncate", file, length, NEXT(ftruncate64)(file, length)); }

/* MARK: - Names */

#define ON_PATH(operation, folder, name, call) \
    BEGIN; \
    char place[PATH_MAX]; \
    absolute(folder, name, place); \
    bool isOurs = isBelow(place); \
    int error = isOurs ? fault(operation) : 0, result; \
    if (error > 0) { errno = error; result = -1; } else result = (call); \
    if (isOurs) note(operation, -1, place, NULL, 0, 0, result == 0 ? 0 : errno, NULL, 0); \
    END; \
    return result

int mkdir(const char *name, mode_t mode) { ON_PATH("mkdir", AT_FDCWD, name, NEXT(mkdir)(name, mode)); }
int mkdirat(int folder, const char *name, mode_t mode) {
    ON_PATH("mkdir", folder, name, NEXT(mkdirat)(folder, name, mode));
}
int unlink(const char *name) { ON_PATH("unlink", AT_FDCWD, name, NEXT(unlink)(name)); }
int rmdir(const char *name) { ON_PATH("rmdir", AT_FDCWD, name, NEXT(rmdir)(name)); }
int unlinkat(int folder, const char *name, int flags) {
    ON_PATH(flags & AT_REMOVEDIR ? "rmdir" : "unlink", folder, name, NEXT(unlinkat)(folder, name, flags));
}
int remove(const char *name) {
    struct stat status;
    bool isFolder = lstat(name, &status) == 0 && S_ISDIR(status.st_mode);
    return isFolder ? rmdir(name) : unlink(name);
}
int truncate(const char *name, off_t length) { ON_PATH("truncate", AT_FDCWD, name, NEXT(truncate)(name, length)); }

/* What takes two names; the new one decides. */
#define ON_PATHS(operation, fromFolder, from, toFolder, to, call) \
    BEGIN; \
    char source[PATH_MAX], place[PATH_MAX]; \
    absolute(fromFolder, from, source); \
    absolute(toFolder, to, place); \
    bool isOurs = isBelow(place); \
    int error = isOurs ? fault(operation) : 0, result; \
    if (error > 0) { errno = error; result = -1; } else result = (call); \
    if (isOurs) note(operation, -1, source, place, 0, 0, result == 0 ? 0 : errno, NULL, 0); \
    END; \
    return result

int rename(const char *from, const char *to) {
    ON_PATHS("rename", AT_FDCWD, from, AT_FDCWD, to, NEXT(rename)(from, to));
}
int renameat(int a, const char *from, int b, const char *to) {
    ON_PATHS("rename", a, from, b, to, NEXT(renameat)(a, from, b, to));
}
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
    ON_PATHS("rename", a, from, b, to, NEXT(renameat2)(a, from, b, to, flags));
}
int link(const char *from, const char *to) { ON_PATHS("link", AT_FDCWD, from, AT_FDCWD, to, NEXT(link)(from, to)); }
int linkat(int a, const char *from, int b, const char *to, int flags) {
    ON_PATHS("link", a, from, b, to, NEXT(linkat)(a, from, b, to, flags));
}

static int linked(__typeof__(&symlinkat) call, const char *target, int folder, const char *name) {
    BEGIN;
    char place[PATH_MAX];
    absolute(folder, name, place);
    bool isOurs = isBelow(place);
    int error = isOurs ? fault("symlink") : 0, result;
    if (error > 0) { errno = error; result = -1; } else result = call(target, folder, name);
    if (isOurs) note("symlink", -1, target, place, 0, 0, result == 0 ? 0 : errno, NULL, 0);
    END;
    return result;
}
int symlink(const char *target, const char *name) { return linked(NEXT(symlinkat), target, AT_FDCWD, name); }
int symlinkat(const char *target, int folder, const char *name) {
    return linked(NEXT(symlinkat), target, folder, name);
}

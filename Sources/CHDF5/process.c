#define _GNU_SOURCE
#include "reader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// What a file's process is asked: to describe an array, or with a count, to read of it. The values follow the answer.
typedef struct {
    char name[256];
    uint64_t index, count;
    adashare_hdf5_element element;
} request;

typedef struct {
    unsigned char is_done;
    adashare_hdf5_message message;
    adashare_hdf5_array array;
} answer;

enum {
    // Seconds of processor time that a file's process may take for an answer, as damaged files may have it go in
    // circles; and seconds that are waited for it, on whatever disk.
    MOST_SECONDS = 120,
    MOST_WAITING = 600,
    // Where the process keeps its end.
    SOCKET = 3,
};
// Bytes that the process may take beyond what it has when it is made.
static const rlim_t MOST_BYTES = (rlim_t)4 << 30;

static size_t size_of(adashare_hdf5_element element) {
    switch (element) {
    case ADASHARE_HDF5_UINT8: return 1;
    case ADASHARE_HDF5_UINT16: return 2;
    case ADASHARE_HDF5_FLOAT32: return 4;
    case ADASHARE_HDF5_FLOAT64: return 8;
    default: return 0;
    }
}

#ifdef MSG_NOSIGNAL
enum { FLAGS = MSG_NOSIGNAL };
#else
enum { FLAGS = 0 };
#endif

static bool put(int socket, const void *bytes, size_t count) {
    for (const char *at = bytes; count > 0;) {
        const ssize_t sent = send(socket, at, count, FLAGS);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        at += sent;
        count -= sent;
    }
    return true;
}

static bool take(int socket, void *bytes, size_t count) {
    for (char *at = bytes; count > 0;) {
        const ssize_t got = recv(socket, at, count, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        at += got;
        count -= got;
    }
    return true;
}

// MARK: - The process that reads

static void limit_time(void) {
    struct rusage used;
    struct rlimit limit;
    if (getrusage(RUSAGE_SELF, &used) != 0 || getrlimit(RLIMIT_CPU, &limit) != 0) return;
    const rlim_t most = used.ru_utime.tv_sec + used.ru_stime.tv_sec + MOST_SECONDS;
    if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < most) return;
    limit.rlim_cur = most;
    setrlimit(RLIMIT_CPU, &limit);
}

// A chunk may claim a thousand times what the file has.
static void limit_memory(void) {
    const int file = open("/proc/self/statm", O_RDONLY);
    char text[64] = {0};
    const bool is_read = file >= 0 && read(file, text, sizeof text - 1) > 0;
    if (file >= 0) close(file);
    struct rlimit limit;
    if (!is_read || getrlimit(RLIMIT_AS, &limit) != 0) return;
    const rlim_t most = (rlim_t)strtoull(text, NULL, 10) * sysconf(_SC_PAGESIZE) + MOST_BYTES;
    if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < most) return;
    limit.rlim_cur = most;
    setrlimit(RLIMIT_AS, &limit);
}

// Keeps nothing of the program's but the socket: no lock, no connection, no terminal. Signals are blocked.
static void leave_program(int socket) {
    // What ends it is told by the program; whoever stops that lets it finish its step.
    const int own[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGXCPU},
              others[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) signal(own[i], SIG_DFL);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) signal(others[i], SIG_IGN);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    dup2(socket, SOCKET);
    const int nothing = open("/dev/null", O_RDWR);
    for (int each = 0; each < SOCKET; each++) dup2(nothing, each);
#ifdef SYS_close_range
    if (syscall(SYS_close_range, SOCKET + 1, ~0U, 0) == 0) return;
#endif
    const long most = sysconf(_SC_OPEN_MAX);
    for (int each = SOCKET + 1; each < (most > 0 && most < 1 << 16 ? most : 1 << 16); each++) close(each);
}

// Answers until the program closes its end.
static void serve(const char *path) {
    answer told = {0};
    int64_t file = -1;
    limit_memory();
    limit_time();
    told.is_done = reader_open(path, &file, &told.message);
    if (!put(SOCKET, &told, sizeof told)) return;
    request asked;
    while (take(SOCKET, &asked, sizeof asked)) {
        told = (answer){0};
        limit_time();
        void *values = NULL;
        const size_t bytes = asked.count * size_of(asked.element);
        if (asked.count == 0) {
            told.is_done = reader_describe(file, asked.name, &told.array, &told.message);
        } else if ((values = malloc(bytes)) == NULL) {
            snprintf(told.message.text, sizeof told.message.text, "no memory for %zu bytes", bytes);
        } else {
            told.is_done =
                reader_read(file, asked.name, asked.index, asked.element, asked.count, values, &told.message);
        }
        const bool is_told = put(SOCKET, &told, sizeof told) && (!told.is_done || put(SOCKET, values, bytes));
        free(values);
        if (!is_told) return;
    }
}

// MARK: - The program

// Closes the program's end and waits for the process, which ends by that; how it has ended, 0 without one.
static int leave_process(adashare_hdf5_file *file) {
    int status = 0;
    if (file->process > 0) {
        close(file->socket);
        while (waitpid(file->process, &status, 0) < 0 && errno == EINTR) {}
        *file = (adashare_hdf5_file){-1, 0};
    }
    return status;
}

// Says how a file's process has ended, whose answer did not come.
static bool ended(adashare_hdf5_file *file, adashare_hdf5_message *message) {
    const int status = leave_process(file);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU) {
        snprintf(message->text, sizeof message->text, "it found no end in %d s", MOST_SECONDS);
    } else if (WIFSIGNALED(status)) {
        snprintf(message->text, sizeof message->text, "it failed there (signal %d)", WTERMSIG(status));
    } else {
        snprintf(message->text, sizeof message->text, "it failed there");
    }
    return false;
}

// Waits until something of the answer is there, or the process has ended; one that is silent is ended.
static void wait_for(const adashare_hdf5_file *file) {
    const time_t start = time(NULL);
    struct pollfd there = {file->socket, POLLIN, 0};
    for (;;) {
        const int found = poll(&there, 1, 1000);
        if (found > 0 || (found < 0 && errno != EINTR)) return;
        if (time(NULL) - start > MOST_WAITING) {
            kill(file->process, SIGKILL);
            return;
        }
    }
}

static bool hear(adashare_hdf5_file *file, answer *told, adashare_hdf5_message *message) {
    wait_for(file);
    if (!take(file->socket, told, sizeof *told)) return ended(file, message);
    // What a damaged file has spoiled may say anything.
    memcpy(message->text, told->message.text, sizeof message->text);
    message->text[sizeof message->text - 1] = '\0';
    return told->is_done != 0;
}

static bool ask(
    adashare_hdf5_file *file, const char *name, request asked, answer *told, adashare_hdf5_message *message) {
    if (strlen(name) >= sizeof asked.name) {
        snprintf(message->text, sizeof message->text, "a name of more than %zu bytes", sizeof asked.name - 1);
        return false;
    }
    strcpy(asked.name, name);
    if (!put(file->socket, &asked, sizeof asked)) return ended(file, message);
    return hear(file, told, message);
}

static bool fail(const char *what, adashare_hdf5_message *message) {
    snprintf(message->text, sizeof message->text, "no process to read it in: %s: %s", what, strerror(errno));
    return false;
}

bool adashare_hdf5_open(const char *path, adashare_hdf5_file *file, adashare_hdf5_message *message) {
    *file = (adashare_hdf5_file){-1, 0};
    // One at a time: libhdf5 is loaded once, and no other thread is loading it where the process is made.
    static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&opening);
    int sockets[2];
    bool is_made = reader_load(message);
    if (is_made && socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0) is_made = fail("socketpair", message);
    if (is_made) {
        fcntl(sockets[0], F_SETFD, FD_CLOEXEC);
        fcntl(sockets[1], F_SETFD, FD_CLOEXEC);
#ifdef SO_NOSIGPIPE
        const int yes = 1;
        setsockopt(sockets[0], SOL_SOCKET, SO_NOSIGPIPE, &yes, sizeof yes);
#endif
        // The program's handlers are not the process's.
        sigset_t all, known;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &known);
        const pid_t process = fork();
        if (process == 0) {
            leave_program(sockets[1]);
            serve(path);
            _exit(0);
        }
        const int reason = errno;
        pthread_sigmask(SIG_SETMASK, &known, NULL);
        close(sockets[1]);
        if (process < 0) {
            close(sockets[0]);
            errno = reason;
            is_made = fail("fork", message);
        } else {
            *file = (adashare_hdf5_file){sockets[0], process};
        }
    }
    pthread_mutex_unlock(&opening);
    answer told;
    if (!is_made) return false;
    if (hear(file, &told, message)) return true;
    adashare_hdf5_close(file);
    return false;
}

void adashare_hdf5_close(adashare_hdf5_file *file) {
    leave_process(file);
}

bool adashare_hdf5_describe(
    adashare_hdf5_file *file, const char *name, adashare_hdf5_array *array, adashare_hdf5_message *message) {
    answer told;
    if (!ask(file, name, (request){0}, &told, message)) return false;
    if (told.array.axes < 1 || told.array.axes > ADASHARE_HDF5_MOST_AXES) return ended(file, message);
    *array = told.array;
    return true;
}

bool adashare_hdf5_read(
    adashare_hdf5_file *file, const char *name, uint64_t index, adashare_hdf5_element element, size_t count,
    void *values, adashare_hdf5_message *message) {
    answer told;
    if (!ask(file, name, (request){.index = index, .count = count, .element = element}, &told, message)) return false;
    return take(file->socket, values, count * size_of(element)) || ended(file, message);
}

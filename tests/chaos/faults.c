/* Fails a chosen system call below one folder, or stops the process before it.

Loaded by LD_PRELOAD. A *site* is what a process is, the call, and the path in which
numbers and tokens are replaced by #, so that it is the same in each run. FAULT_LOG
gets a line for each call; the call number FAULT_WHEN of a process at FAULT_SITE is the
one that is hit:

    FAULT_ACTION=kill   the process gets SIGKILL
    FAULT_ACTION=stop   the process sleeps until somebody kills it
    FAULT_ACTION=NUMBER the call fails with that errno

Only once, as FAULT_FIRED exists then, unless FAULT_LASTS is set, which lets the site
fail ever after. Calls that look at files do not count, apart from open and read.
*/
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static const char *root, *log_path, *site, *action, *fired, *lasts;
static int when, depth, count;
static pid_t known;
static char role[64];
static __thread int busy;

static void learn_role(void) {
    char text[4096];
    int fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY);
    ssize_t n = syscall(SYS_read, fd, text, sizeof text - 1);
    syscall(SYS_close, fd);
    text[n > 0 ? n : 0] = 0;
    for (ssize_t i = 0; i < n; i++)
        if (!text[i]) text[i] = ' ';
    const char *kind = "other";
    if (strstr(text, "psyrun.steps.forkserver")) kind = "server";
    else if (strstr(text, "psyrun.steps split")) kind = "split";
    else if (strstr(text, "psyrun.steps process")) kind = "process";
    else if (strstr(text, "psyrun.steps merge")) kind = "merge";
    else if (strstr(text, "psyrun.cli")) kind = "psy";
    else if (strstr(text, "snakemake")) kind = "snakemake";
    snprintf(role, sizeof role, "%s/%d", kind, depth);
}

static void learn(void) {
    pid_t now = getpid();
    if (now == known) return;
    if (known) depth++;
    else {
        root = getenv("FAULT_ROOT");
        log_path = getenv("FAULT_LOG");
        site = getenv("FAULT_SITE");
        action = getenv("FAULT_ACTION");
        fired = getenv("FAULT_FIRED");
        lasts = getenv("FAULT_LASTS");
        when = getenv("FAULT_WHEN") ? atoi(getenv("FAULT_WHEN")) : 1;
    }
    known = now;
    count = 0;
    learn_role();
}

/* Replace each word that has a digit by #. */
static void normalize(const char *path, char *out, size_t size) {
    size_t n = 0;
    while (*path && n + 2 < size) {
        const char *end = path;
        int digits = 0;
        while ((*end >= '0' && *end <= '9') || (*end >= 'a' && *end <= 'z') ||
               (*end >= 'A' && *end <= 'Z') || *end == '_' || *end == '=') {
            digits |= *end >= '0' && *end <= '9';
            end++;
        }
        if (end == path) out[n++] = *path++;
        else if (digits && strncmp(path, "h5", 2)) { out[n++] = '#'; path = end; }
        else while (path < end && n + 2 < size) out[n++] = *path++;
    }
    out[n] = 0;
}

static int once(void) {
    int fd = syscall(SYS_openat, AT_FDCWD, fired, O_CREAT | O_EXCL | O_WRONLY, 0600);
    if (fd >= 0) syscall(SYS_close, fd);
    return fd >= 0;
}

/* Note a call; return whether it is to fail, with errno set. */
static int hit(const char *call, int dir, const char *path) {
    char full[PATH_MAX], line[PATH_MAX + 128], link[64];
    int saved = errno;
    if (busy) return 0;
    busy = 1;
    learn();
    if (!root) goto out;
    if (!path) path = "";
    if (path[0] == '/') snprintf(full, sizeof full, "%s", path);
    else {
        if (dir == AT_FDCWD) snprintf(link, sizeof link, "/proc/self/cwd");
        else snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
        ssize_t n = syscall(SYS_readlink, link, full, sizeof full - 2 - strlen(path));
        if (n < 0) goto out;
        full[n] = 0;
        if (*path) { strcat(full, "/"); strcat(full, path); }
    }
    size_t length = strlen(root);
    if (strncmp(full, root, length) || full[length] != '/') goto out;
    if (strstr(full, "/calls") || strstr(full, ".pyc")) goto out;
    int n = snprintf(line, sizeof line, "%s %s ", role, call);
    normalize(full + length + 1, line + n, sizeof line - n - 2);
    int is_site = site && !strcmp(line, site);
    if (log_path) {
        strcat(line, "\n");
        int fd = syscall(SYS_openat, AT_FDCWD, log_path,
                         O_WRONLY | O_CREAT | O_APPEND, 0600);
        syscall(SYS_write, fd, line, strlen(line));
        syscall(SYS_close, fd);
    }
    if (is_site) {
        count++;
        int is_due = count == when && once();
        if (lasts && !is_due) is_due = !syscall(SYS_access, fired, F_OK);
        if (is_due && !strcmp(action, "kill")) syscall(SYS_kill, getpid(), SIGKILL);
        while (is_due && !strcmp(action, "stop")) syscall(SYS_pause);
        if (is_due) {
            busy = 0;
            errno = atoi(action);
            return 1;
        }
    }
out:
    busy = 0;
    errno = saved;
    return 0;
}

static int hit_fd(const char *call, int fd) {
    struct stat about;
    if (busy || fstat(fd, &about) || !(S_ISREG(about.st_mode) || S_ISDIR(about.st_mode)))
        return 0;
    return hit(call, fd, "");
}

#define REAL(type, name) \
    static type (*real)(); \
    if (!real) real = (type(*)())dlsym(RTLD_NEXT, #name)

static const char *kind_of(int flags) {
    if (flags & O_CREAT) return "create";
    return (flags & O_ACCMODE) == O_RDONLY ? "open" : "open-to-write";
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(int, name); \
        va_list rest; va_start(rest, flags); int mode = va_arg(rest, int); va_end(rest); \
        if (hit(kind_of(flags), AT_FDCWD, path)) return -1; \
        return real(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
    int name(int dir, const char *path, int flags, ...) { \
        REAL(int, name); \
        va_list rest; va_start(rest, flags); int mode = va_arg(rest, int); va_end(rest); \
        if (hit(kind_of(flags), dir, path)) return -1; \
        return real(dir, path, flags, mode); \
    }
OPENAT(openat)
OPENAT(openat64)

DIR *opendir(const char *path) {
    REAL(DIR *, opendir);
    return hit("list", AT_FDCWD, path) ? NULL : real(path);
}

ssize_t read(int fd, void *data, size_t size) {
    REAL(ssize_t, read);
    return hit_fd("read", fd) ? -1 : real(fd, data, size);
}

ssize_t write(int fd, const void *data, size_t size) {
    REAL(ssize_t, write);
    return hit_fd("write", fd) ? -1 : real(fd, data, size);
}

#define PWRITE(name) \
    ssize_t name(int fd, const void *data, size_t size, off64_t at) { \
        REAL(ssize_t, name); \
        return hit_fd("write", fd) ? -1 : real(fd, data, size, at); \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

ssize_t writev(int fd, const struct iovec *data, int n) {
    REAL(ssize_t, writev);
    return hit_fd("write", fd) ? -1 : real(fd, data, n);
}

ssize_t sendfile64(int to, int from, off64_t *at, size_t size) {
    REAL(ssize_t, sendfile64);
    return hit_fd("copy", to) ? -1 : real(to, from, at, size);
}

ssize_t sendfile(int to, int from, off_t *at, size_t size) {
    REAL(ssize_t, sendfile);
    return hit_fd("copy", to) ? -1 : real(to, from, at, size);
}

ssize_t copy_file_range(int from, off64_t *a, int to, off64_t *b, size_t size,
                        unsigned int flags) {
    REAL(ssize_t, copy_file_range);
    return hit_fd("copy", to) ? -1 : real(from, a, to, b, size, flags);
}

#define OF_FD(name, call) \
    int name(int fd) { \
        REAL(int, name); \
        return hit_fd(call, fd) ? -1 : real(fd); \
    }
OF_FD(fsync, "fsync")
OF_FD(fdatasync, "fsync")

#define TRUNCATE(name) \
    int name(int fd, off64_t size) { \
        REAL(int, name); \
        return hit_fd("truncate", fd) ? -1 : real(fd, size); \
    }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

int fchmod(int fd, mode_t mode) {
    REAL(int, fchmod);
    return hit_fd("chmod", fd) ? -1 : real(fd, mode);
}

int chmod(const char *path, mode_t mode) {
    REAL(int, chmod);
    return hit("chmod", AT_FDCWD, path) ? -1 : real(path, mode);
}

int futimens(int fd, const struct timespec times[2]) {
    REAL(int, futimens);
    return hit_fd("utime", fd) ? -1 : real(fd, times);
}

int utimensat(int dir, const char *path, const struct timespec times[2], int flags) {
    REAL(int, utimensat);
    return hit("utime", dir, path) ? -1 : real(dir, path, times, flags);
}

int rename(const char *from, const char *to) {
    REAL(int, rename);
    return hit("rename", AT_FDCWD, to) ? -1 : real(from, to);
}

int renameat(int a, const char *from, int b, const char *to) {
    REAL(int, renameat);
    return hit("rename", b, to) ? -1 : real(a, from, b, to);
}

int link(const char *from, const char *to) {
    REAL(int, link);
    return hit("link", AT_FDCWD, to) ? -1 : real(from, to);
}

int linkat(int a, const char *from, int b, const char *to, int flags) {
    REAL(int, linkat);
    return hit("link", b, to) ? -1 : real(a, from, b, to, flags);
}

int symlink(const char *from, const char *to) {
    REAL(int, symlink);
    return hit("symlink", AT_FDCWD, to) ? -1 : real(from, to);
}

int unlink(const char *path) {
    REAL(int, unlink);
    return hit("unlink", AT_FDCWD, path) ? -1 : real(path);
}

int unlinkat(int dir, const char *path, int flags) {
    REAL(int, unlinkat);
    return hit(flags & AT_REMOVEDIR ? "rmdir" : "unlink", dir, path)
        ? -1 : real(dir, path, flags);
}

int rmdir(const char *path) {
    REAL(int, rmdir);
    return hit("rmdir", AT_FDCWD, path) ? -1 : real(path);
}

int mkdir(const char *path, mode_t mode) {
    REAL(int, mkdir);
    return hit("mkdir", AT_FDCWD, path) ? -1 : real(path, mode);
}

int mkdirat(int dir, const char *path, mode_t mode) {
    REAL(int, mkdirat);
    return hit("mkdir", dir, path) ? -1 : real(dir, path, mode);
}

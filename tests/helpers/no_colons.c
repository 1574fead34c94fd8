/* A disk such as exFAT: a file has one name, and that has none of a few characters. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int refused(const char *path)
{
    const char *name = strrchr(path, '/');
    return strpbrk(name ? name : path, ":*?\"<>|") != NULL;
}

#define OPEN(function)                                                              \
    int function(const char *path, int flags, ...)                                  \
    {                                                                               \
        int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, #function);          \
        va_list more;                                                               \
        va_start(more, flags);                                                      \
        mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;                   \
        va_end(more);                                                               \
        if (flags & O_CREAT && refused(path)) {                                     \
            errno = EINVAL;                                                         \
            return -1;                                                              \
        }                                                                           \
        return real(path, flags, mode);                                             \
    }

OPEN(open)
OPEN(open64)

int link(const char *path, const char *other) { errno = EPERM; return -1; }

int symlink(const char *path, const char *other) { errno = EPERM; return -1; }

int linkat(int folder, const char *path, int there, const char *other, int flags)
{
    errno = EPERM;
    return -1;
}

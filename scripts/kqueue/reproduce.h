// What the programs share. Each exits with 0 if libkqueue shows the fault, 1 if it behaves as kqueue(2) describes, and 2
// if it could not set up what it needs.
#pragma once

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/event.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/// Long enough for an event that is due, in milliseconds.
enum { SHORT = 300 };

/// Ends the program unless the condition holds.
static inline void require(int holds, const char *what)
{
    if (holds)
        return;
    perror(what);
    exit(2);
}

/// Prints what was found and returns the exit code.
static inline int verdict(int has_fault, const char *what)
{
    printf("%s: %s\n", what, has_fault ? "yes" : "no");
    fflush(stdout);
    return has_fault ? 0 : 1;
}

static inline void ended_by_the_alarm(int number)
{
    (void)number;
    static const char text[] = "a call does not return: yes\n";
    _exit(write(STDOUT_FILENO, text, sizeof text - 1) > 0 ? 0 : 2);
}

/// Ends the program with the fault shown after some seconds, because a call does not return. Each call starts anew.
static inline void limit(unsigned int seconds)
{
    require(signal(SIGALRM, ended_by_the_alarm) != SIG_ERR, "signal");
    alarm(seconds);
}

static inline int new_kqueue(void)
{
    int kq = kqueue();
    require(kq >= 0, "kqueue");
    return kq;
}

static inline void new_pair(int pair[2])
{
    require(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "socketpair");
}

static inline void send_byte(int fd)
{
    require(write(fd, "x", 1) == 1, "write");
}

/// Makes one change. Returns 0 or the error. Without room for events, kevent(2) returns -1 and sets errno.
static inline int change(int kq, uintptr_t ident, short filter, unsigned short flags, unsigned int fflags)
{
    struct kevent record;
    EV_SET(&record, ident, filter, flags, fflags, 0, NULL);
    return kevent(kq, &record, 1, NULL, 0, NULL) < 0 ? errno : 0;
}

/// Makes a change that has to succeed.
static inline void must_change(int kq, uintptr_t ident, short filter, unsigned short flags, unsigned int fflags)
{
    errno = change(kq, ident, filter, flags, fflags);
    require(errno == 0, "kevent");
}

/// Waits for events, for `SHORT` at most. Returns their number.
static inline int wait_for(int kq, struct kevent *events, int room)
{
    struct timespec timeout = {.tv_nsec = SHORT * 1000000L};
    int found = kevent(kq, NULL, 0, events, room, &timeout);
    require(found >= 0, "kevent");
    return found;
}

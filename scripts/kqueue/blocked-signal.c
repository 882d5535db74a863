// EVFILT_SIGNAL coexists with signal(3) and sigaction(2), with a lower precedence (kqueue(2)). libkqueue blocks the signal
// and leaves it blocked when the filter is deleted.
#include "reproduce.h"

int main(void)
{
    int kq = new_kqueue();
    must_change(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0);
    must_change(kq, SIGUSR1, EVFILT_SIGNAL, EV_DELETE, 0);
    sigset_t blocked;
    require(sigprocmask(SIG_SETMASK, NULL, &blocked) == 0, "sigprocmask");
    return verdict(sigismember(&blocked, SIGUSR1), "the signal is blocked without a filter");
}

// A descriptor that is not open is refused with EBADF (kqueue(2)). libkqueue refuses it with EFAULT.
#include "reproduce.h"

int main(void)
{
    int kq = new_kqueue(), pair[2];
    new_pair(pair);
    require(close(pair[0]) == 0, "close");
    int error = change(kq, pair[0], EVFILT_READ, EV_ADD, 0);
    printf("error %d\n", error);
    return verdict(error != EBADF, "another error than EBADF");
}

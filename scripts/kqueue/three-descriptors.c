// A kqueue is one descriptor (kqueue(2)). One of libkqueue has two more, which execve(2) does not close, and which a thread
// closes some time after the first.
#include <dirent.h>

#include "reproduce.h"

static int open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    require(folder != NULL, "opendir");
    int count = 0;
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

int main(void)
{
    int before = open_descriptors();
    new_kqueue();
    return verdict(open_descriptors() != before + 1, "a kqueue is more than one descriptor");
}

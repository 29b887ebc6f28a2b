/* A lower bound for the time of a load: allocates and fills the pages of BYTES bytes of shared memory with two threads,
   from a buffer in the cache. One thread writes, the other fills pages with userfaultfd(2), which needs no lock of the
   file. If that is forbidden, it fills them by page faults. Prints the seconds.

     limit BYTES [FILE]     also reads the bytes of FILE, like a load of uncompressed data */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

static const size_t part = 256 << 10;
static size_t size, next_part;
static int segment, source = -1, fault = -1;
static char *map;

static void need(int fine, const char *what) {
    if (!fine) {
        perror(what);
        exit(1);
    }
}

static int fill(char *buffer, size_t *at) {
    *at = __atomic_fetch_add(&next_part, part, __ATOMIC_RELAXED);
    if (*at >= size) return 0;
    if (source >= 0) need(pread(source, buffer, part, *at) == (ssize_t)part, "read");
    return 1;
}

static void *by_write(void *buffer) {
    size_t at;
    while (fill(buffer, &at)) need(pwrite(segment, buffer, part, at) == (ssize_t)part, "write");
    return NULL;
}

static void *by_fault(void *buffer) {
    size_t at;
    while (fill(buffer, &at)) {
        struct uffdio_copy copy = {.dst = (unsigned long)map + at, .src = (unsigned long)buffer, .len = part};
        if (fault < 0)
            memcpy(map + at, buffer, part);
        else
            need(ioctl(fault, UFFDIO_COPY, &copy) == 0, "UFFDIO_COPY");
    }
    return NULL;
}

int main(int count, char **words) {
    struct timespec begun, ended;
    pthread_t other;
    need(count >= 2, "limit BYTES [FILE]");
    size = strtoull(words[1], NULL, 10) / part * part;
    if (count > 2) need((source = open(words[2], O_RDONLY)) >= 0, words[2]);
    segment = open("/dev/shm", O_TMPFILE | O_RDWR, 0600);
    need(segment >= 0 && ftruncate(segment, size) == 0, "/dev/shm");
    map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, segment, 0);
    need(map != MAP_FAILED, "mmap");
    fault = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
    if (fault >= 0) {
        struct uffdio_api api = {.api = UFFD_API};
        struct uffdio_register range = {{(unsigned long)map, size}, UFFDIO_REGISTER_MODE_MISSING, 0};
        need(ioctl(fault, UFFDIO_API, &api) == 0 && ioctl(fault, UFFDIO_REGISTER, &range) == 0, "userfaultfd");
    }
    char *first = aligned_alloc(4096, part), *second = aligned_alloc(4096, part);
    memset(first, 1, part);
    memset(second, 2, part);
    clock_gettime(CLOCK_MONOTONIC, &begun);
    need(pthread_create(&other, NULL, by_fault, second) == 0, "thread");
    by_write(first);
    pthread_join(other, NULL);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    printf("%.6f\n", ended.tv_sec - begun.tv_sec + (ended.tv_nsec - begun.tv_nsec) / 1e9);
    return 0;
}

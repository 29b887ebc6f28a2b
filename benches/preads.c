/* A lower bound for the time of a cold load: reads FILE from front to back with DEPTH requests of SIZE bytes in flight, and
   keeps nothing. Prints the seconds.

     preads FILE DEPTH SIZE */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int file;
static off_t next_part;
static size_t size;

static void need(int fine, const char *what) {
    if (!fine) {
        perror(what);
        exit(1);
    }
}

static void *read_parts(void *unused) {
    (void)unused;
    char *buffer = malloc(size);
    need(buffer != NULL, "malloc");
    for (;;) {
        ssize_t done = pread(file, buffer, size, __atomic_fetch_add(&next_part, size, __ATOMIC_RELAXED));
        need(done >= 0, "read");
        if (done == 0) return NULL;
    }
}

int main(int arguments, char **argument) {
    if (arguments < 4) {
        fputs("usage: preads FILE DEPTH SIZE\n", stderr);
        return 2;
    }
    struct timespec begin, end;
    size = strtoul(argument[3], NULL, 10);
    int depth = atoi(argument[2]);
    pthread_t threads[depth];
    clock_gettime(CLOCK_MONOTONIC, &begin);
    file = open(argument[1], O_RDONLY);
    need(file >= 0, argument[1]);
    for (int number = 0; number < depth; number++) {
        errno = pthread_create(&threads[number], NULL, read_parts, NULL);
        need(errno == 0, "pthread_create");
    }
    for (int number = 0; number < depth; number++) pthread_join(threads[number], NULL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%.6f\n", (end.tv_sec - begin.tv_sec) + (end.tv_nsec - begin.tv_nsec) * 1e-9);
    return 0;
}

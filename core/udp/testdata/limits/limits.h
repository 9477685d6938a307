// What the programs have in common.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>

// now is in nanoseconds.
static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static int cmp(const void *a, const void *b) {
	double x = *(double *)a, y = *(double *)b;
	return x < y ? -1 : x > y;
}

// answer prints the median of what the rounds took.
static void answer(double *took, int rounds) {
	qsort(took, rounds, sizeof *took, cmp);
	printf("%.1f\n", took[rounds / 2]);
	fflush(stdout);
}

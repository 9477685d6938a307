// timer INTERVAL ROUNDS: how late a timerfd that epoll watches wakes a process that else sleeps, every INTERVAL
// microseconds. For every line that it reads it is woken ROUNDS times and prints the median in nanoseconds.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static int64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int cmp(const void *a, const void *b) {
	int64_t x = *(int64_t *)a, y = *(int64_t *)b;
	return x < y ? -1 : x > y;
}

int main(int c, char **v) {
	static int64_t late[4096];
	if (c != 3) return 2;
	int64_t interval = atoll(v[1]) * 1000;
	int rounds = atoi(v[2]), line;
	if (rounds > 4096) return 2;
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), all = epoll_create1(0);
	struct epoll_event e = {.events = EPOLLIN | EPOLLET};
	if (timer < 0 || epoll_ctl(all, EPOLL_CTL_ADD, timer, &e)) return 1;
	while ((line = getchar()) != EOF) {
		if (line != '\n') continue;
		int64_t due = now() + interval;
		for (int k = 0; k < rounds; k++, due += interval) {
			struct itimerspec t = {.it_value = {due / 1000000000, due % 1000000000}};
			if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &t, NULL)) return 1;
			if (epoll_wait(all, &e, 1, -1) != 1) return 1;
			late[k] = now() - due;
		}
		qsort(late, rounds, sizeof *late, cmp);
		printf("%lld\n", (long long)late[rounds / 2]);
		fflush(stdout);
	}
}

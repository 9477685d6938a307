// timer INTERVAL ROUNDS: how late a timerfd that epoll watches wakes a process that else sleeps, every INTERVAL
// microseconds. For every line that it reads it is woken ROUNDS times and prints the median and the 99th percentile
// in nanoseconds.
#include "limits.h"

int main(int c, char **v) {
	static double late[4096];
	if (c != 3) return 2;
	double interval = atof(v[1]) * 1000;
	int rounds = atoi(v[2]), line;
	if (rounds > 4096) return 2;
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), all = epoll_create1(0);
	struct epoll_event e = {.events = EPOLLIN | EPOLLET};
	if (timer < 0 || epoll_ctl(all, EPOLL_CTL_ADD, timer, &e)) return 1;
	while ((line = getchar()) != EOF) {
		if (line != '\n') continue;
		double due = now() + interval;
		for (int k = 0; k < rounds; k++, due += interval) {
			struct itimerspec t = {.it_value = {(time_t)(due / 1e9), (long)(due - (time_t)(due / 1e9) * 1e9)}};
			if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &t, NULL)) return 1;
			if (epoll_wait(all, &e, 1, -1) != 1) return 1;
			late[k] = now() - due;
		}
		answer(late, rounds); // which sorts
		printf("%.0f\n", late[rounds * 99 / 100]);
		fflush(stdout);
	}
}

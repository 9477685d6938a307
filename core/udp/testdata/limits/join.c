// join N PAUSE ROUNDS: how long N sockets take to announce themselves to a server, and to be told of each other by
// it, on two threads that do nothing but the system calls. For every line that it reads it does ROUNDS of them,
// PAUSE microseconds apart, and prints the median in nanoseconds.
#include "limits.h"
#include <pthread.h>
#include <unistd.h>

static int n, s, fds[1024];
static struct sockaddr_in at, to[1024];

// serve tells all of each other once as many births have come.
static void *serve(void *unused) {
	static struct mmsghdr in[1024], out[1024];
	static struct iovec each[1024];
	static char space[1024][64], directory[65536];
	struct iovec io = {directory, 4 + 4 * n};
	for (int i = 0; i < n; i++) {
		each[i] = (struct iovec){space[i], sizeof space[i]};
		in[i].msg_hdr.msg_iov = &each[i], in[i].msg_hdr.msg_iovlen = 1;
		out[i].msg_hdr.msg_iov = &io, out[i].msg_hdr.msg_iovlen = 1;
		out[i].msg_hdr.msg_name = &to[i], out[i].msg_hdr.msg_namelen = sizeof to[i];
	}
	for (;;) {
		for (int got = 0, r; got < n; got += r)
			if ((r = recvmmsg(s, in, n, MSG_WAITFORONE, NULL)) < 0) exit(1);
		for (int sent = 0, r; sent < n; sent += r)
			if ((r = sendmmsg(s, out + sent, n - sent, 0)) < 0) exit(1);
	}
	return unused;
}

int main(int c, char **v) {
	static struct epoll_event ready[1024];
	static char space[65536];
	static double took[1024];
	if (c != 4) return 2;
	n = atoi(v[1]);
	int pause = atoi(v[2]), rounds = atoi(v[3]), line, all = epoll_create1(0);
	if (n > 1024 || rounds > 1024) return 2;
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t l = sizeof at;
	s = socket(AF_INET, SOCK_DGRAM, 0);
	if (bind(s, (void *)&any, sizeof any) || getsockname(s, (void *)&at, &l)) return 1;
	for (int i = 0; i < n; i++) {
		struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.fd = fds[i] = socket(AF_INET, SOCK_DGRAM, 0)};
		if (bind(fds[i], (void *)&any, sizeof any) || getsockname(fds[i], (void *)&to[i], &l)) return 1;
		if (epoll_ctl(all, EPOLL_CTL_ADD, fds[i], &e)) return 1;
	}
	pthread_t server;
	if (pthread_create(&server, NULL, serve, NULL)) return 1;
	while ((line = getchar()) != EOF) {
		if (line != '\n') continue;
		for (int k = 0; k < rounds; k++) {
			usleep(pause);
			double t = now();
			for (int i = 0; i < n; i++)
				if (sendto(fds[i], "\1\0\0\0A\0", 6, 0, (void *)&at, sizeof at) != 6) return 1;
			for (int told = 0; told < n;) {
				int r = epoll_wait(all, ready, 1024, -1);
				for (int i = 0; i < r; i++) told += recv(ready[i].data.fd, space, sizeof space, MSG_DONTWAIT) > 0;
			}
			took[k] = now() - t;
		}
		answer(took, rounds);
	}
}

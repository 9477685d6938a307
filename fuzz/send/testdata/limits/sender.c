// sender: the highest rate at which bare system calls send to a socket on this host.
//
//	sender MODE SIZE GRO
//
// MODE mmsg: sendmmsg of 64 datagrams of SIZE bytes; gso: sendto of one train of 64
// datagrams (UDP_SEGMENT). A thread reads them as fast as it can, with recvmmsg,
// or with GRO 1 by the train (UDP_GRO). The first line out is the port that it reads
// on. For each line in, it sends for 50 ms and prints the datagrams sent a second.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH 64
#define SPACE 65536

static int receiver, gro;

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static void fill(struct mmsghdr *m, struct iovec *v, char *space, size_t each, size_t distance) {
	memset(m, 0, BATCH * sizeof *m);
	for (int i = 0; i < BATCH; i++) {
		v[i] = (struct iovec){space + i * distance, each};
		m[i].msg_hdr.msg_iov = &v[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
}

static void *receive(void *unused) {
	static char space[BATCH * 2048];
	static char train[SPACE];
	static struct mmsghdr m[BATCH];
	static struct iovec v[BATCH];
	fill(m, v, space, 2048, 2048);
	for (;;)
		if ((gro ? recv(receiver, train, sizeof train, 0) : recvmmsg(receiver, m, BATCH, MSG_WAITFORONE, NULL)) < 0)
			return NULL;
}

int main(int argc, char **argv) {
	if (argc != 4)
		return 2;
	int gso = !strcmp(argv[1], "gso"), size = atoi(argv[2]), one = 1;
	gro = atoi(argv[3]);
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, from = to;
	socklen_t length = sizeof to;
	receiver = socket(AF_INET, SOCK_DGRAM, 0);
	bind(receiver, (struct sockaddr *)&to, sizeof to);
	getsockname(receiver, (struct sockaddr *)&to, &length);
	if (gro && setsockopt(receiver, SOL_UDP, UDP_GRO, &one, sizeof one))
		return 1;
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	bind(s, (struct sockaddr *)&from, sizeof from);
	if (gso && setsockopt(s, SOL_UDP, UDP_SEGMENT, &size, sizeof size))
		return 1;

	static char space[SPACE];
	struct mmsghdr m[BATCH];
	struct iovec v[BATCH];
	fill(m, v, space, size, 0);
	for (int i = 0; i < BATCH; i++) {
		m[i].msg_hdr.msg_name = &to;
		m[i].msg_hdr.msg_namelen = sizeof to;
	}
	pthread_t t;
	pthread_create(&t, NULL, receive, NULL);
	printf("%d\n", ntohs(to.sin_port));
	fflush(stdout);
	while (getchar() != EOF) {
		double start = now(), end = start + 0.05;
		long sent = 0;
		for (int k = 0; k++ % 16 || now() < end;) {
			long n = gso ? sendto(s, space, size * BATCH, 0, (struct sockaddr *)&to, sizeof to) / size : sendmmsg(s, m, BATCH, 0);
			if (n > 0)
				sent += n;
		}
		printf("%.0f\n", sent / (now() - start));
		fflush(stdout);
	}
}

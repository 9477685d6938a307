// fanout N SIZE ROUNDS: what one sendmmsg of SIZE bytes to N ports of 127.0.0.1 costs. For every line that it
// reads it does ROUNDS of them and prints the median in nanoseconds. Nobody reads at the ports meanwhile.
#include "limits.h"

int main(int c, char **v) {
	static int fds[1024];
	static struct sockaddr_in to[1024];
	static struct mmsghdr m[1024];
	static char space[65536];
	static double took[1024];
	if (c != 4) return 2;
	int n = atoi(v[1]), size = atoi(v[2]), rounds = atoi(v[3]), line;
	if (n > 1024 || size > 65507 || rounds > 1024) return 2;
	struct iovec io = {space, size};
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	for (int i = 0; i < n; i++) {
		socklen_t l = sizeof to[i];
		fds[i] = socket(AF_INET, SOCK_DGRAM, 0);
		if (bind(fds[i], (void *)&any, sizeof any) || getsockname(fds[i], (void *)&to[i], &l)) return 1;
		m[i].msg_hdr.msg_iov = &io, m[i].msg_hdr.msg_iovlen = 1;
		m[i].msg_hdr.msg_name = &to[i], m[i].msg_hdr.msg_namelen = sizeof to[i];
	}
	while ((line = getchar()) != EOF) {
		if (line != '\n') continue;
		for (int r = 0; r < rounds; r++) {
			double t = now();
			if (sendmmsg(s, m, n, 0) != n) return 1;
			took[r] = now() - t;
			for (int i = 0; i < n; i++) while (recv(fds[i], space, sizeof space, MSG_DONTWAIT) >= 0);
		}
		answer(took, rounds);
	}
}

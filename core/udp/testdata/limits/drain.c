// drain N SIZE ROUNDS: what taking one datagram of SIZE bytes from a queue of N costs with recvmmsg, 64 a call.
// For every line that it reads it fills and empties the queue ROUNDS times and prints the median in nanoseconds.
#include "limits.h"

int main(int c, char **v) {
	static char space[64][2048];
	static struct mmsghdr m[64];
	static struct iovec io[64];
	static struct sockaddr_in from[64];
	static double took[1024];
	if (c != 4) return 2;
	int n = atoi(v[1]), size = atoi(v[2]), rounds = atoi(v[3]), line, buffer = 4 << 20;
	if (size > 2048 || rounds > 1024) return 2;
	struct sockaddr_in to, any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t l = sizeof to;
	int r = socket(AF_INET, SOCK_DGRAM, 0), s = socket(AF_INET, SOCK_DGRAM, 0);
	if (bind(r, (void *)&any, sizeof any) || getsockname(r, (void *)&to, &l)) return 1;
	setsockopt(r, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
	for (int i = 0; i < 64; i++) {
		io[i].iov_base = space[i], io[i].iov_len = sizeof space[i];
		m[i].msg_hdr.msg_iov = &io[i], m[i].msg_hdr.msg_iovlen = 1, m[i].msg_hdr.msg_name = &from[i];
	}
	while ((line = getchar()) != EOF) {
		if (line != '\n') continue;
		for (int k = 0; k < rounds; k++) {
			int got = 0, x;
			for (int i = 0; i < n; i++) sendto(s, space[0], size, 0, (void *)&to, sizeof to);
			double t = now();
			for (;;) {
				for (int i = 0; i < 64; i++) m[i].msg_hdr.msg_namelen = sizeof from[0];
				if ((x = recvmmsg(r, m, 64, MSG_DONTWAIT, 0)) <= 0) break;
				got += x;
			}
			took[k] = (now() - t) / n;
			if (got != n) return 1;
		}
		answer(took, rounds);
	}
}

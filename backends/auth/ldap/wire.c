/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#define SLICE_MS 200
/* above libldap's own read and write, below its TLS */
#define LEVEL (LBER_SBIOD_LEVEL_PROVIDER + 1)

/* Until the socket is ready; 0, or -1 with errno: EAGAIN nobody waits, ETIMEDOUT, ECANCELED. */
static int
wire_await(const struct wire *w, short events)
{
	struct pollfd p = {.fd = w->fd, .events = events};

	for (;;) {
		int64_t left = w->waits ? ask_left(w->waits) : 0;

		if (!w->waits || left == 0) {
			errno = w->waits ? ETIMEDOUT : EAGAIN;
			return -1;
		}
		if (w->waits->call->cancelled(w->waits->call)) {
			errno = ECANCELED;
			return -1;
		}
		if (poll(&p, 1, (int)(left < SLICE_MS ? left : SLICE_MS)) > 0)
			return 0;
	}
}

static bool
would_block(ber_slen_t n)
{
	return n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
}

static ber_slen_t
wire_read(Sockbuf_IO_Desc *d, void *buf, ber_len_t len)
{
	const struct wire *w = d->sbiod_pvt;
	ber_slen_t n;

	do
		n = recv(w->fd, buf, len, MSG_DONTWAIT);
	while (would_block(n) && wire_await(w, POLLIN) == 0);
	return n;
}

static ber_slen_t
wire_write(Sockbuf_IO_Desc *d, void *buf, ber_len_t len)
{
	const struct wire *w = d->sbiod_pvt;
	ber_slen_t n;

	do
		n = send(w->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (would_block(n) && wire_await(w, POLLOUT) == 0);
	return n;
}

static int
wire_setup(Sockbuf_IO_Desc *d, void *arg)
{
	d->sbiod_pvt = arg;
	return 0;
}

static int
wire_ctrl(Sockbuf_IO_Desc *d, int opt, void *arg)
{
	return LBER_SBIOD_CTRL_NEXT(d, opt, arg);
}

bool
wire_install(struct wire *wire, LDAP *ld)
{
	static Sockbuf_IO io = {.sbi_setup = wire_setup,
				.sbi_ctrl = wire_ctrl,
				.sbi_read = wire_read,
				.sbi_write = wire_write};
	Sockbuf *sb = NULL;

	return !ldap_get_option(ld, LDAP_OPT_SOCKBUF, &sb) &&
	       ber_sockbuf_add_io(sb, &io, LEVEL, wire) == 0;
}

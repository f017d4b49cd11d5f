/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restante-deliver - one message from standard input into one mailbox, for the pipes of mail servers. It hands it
 * to restanted's LMTP socket; where no server answers it does the work itself, if it may. What became of it is
 * said by the exit code, as sysexits.h has them, and in words on standard error.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "config.h"
#include "delivery/address.h"
#include "delivery/client.h"
#include "delivery/direct.h"

struct options {
	const char *conf_file, *socket, *address, *sender;
	bool conf_given;
};

static void
usage(FILE *to)
{
	fprintf(to,
		"usage: restante-deliver -a ADDRESS [-f SENDER] [-s SOCKET] [-c FILE] < message\n"
		"  -a, --address ADDRESS  whose mailbox: user@example.org, or as RCPT would have it\n"
		"  -f, --from SENDER      the envelope sender; default: none, <>\n"
		"  -s, --socket PATH      restanted's LMTP socket; default: the one of the configuration\n"
		"  -c, --config FILE      configuration (default %s)\n"
		"  -V, --version          print the version, end\n"
		"  -h, --help             print this, end\n"
		"Exit codes as in sysexits.h: 0 delivered, 75 try again, 67 no such user. See restante-deliver(1).\n",
		DEFAULT_CONF);
}

static void
say_error(void *ctx, const struct conf_where *w, const char *text)
{
	(void)ctx;
	if (w && w->file)
		fprintf(stderr, "restante-deliver: %s:%u: %s\n", w->file, w->line, text);
	else
		fprintf(stderr, "restante-deliver: %s\n", text);
}

/* The first unix socket LMTP is spoken on; NULL: there is none. */
static const char *
find_socket(const struct conf *c)
{
	for (size_t i = 0; i < c->n_listeners; i++)
		if (c->listeners[i].protocol == CONF_LMTP && c->listeners[i].path)
			return c->listeners[i].path;
	return NULL;
}

/* A connected socket, or -1: errno. */
static int
dial(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd, e;

	if (strlen(path) >= sizeof(sa.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(sa.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	e = errno;
	(void)close(fd); /* it was never connected */
	errno = e;
	return -1;
}

/* Nobody listens, as opposed to: we may not. */
static bool
nobody_there(int e)
{
	return e == ENOENT || e == ECONNREFUSED;
}

/* The server's socket if it answers, else the engine itself. -1: said; *ret_direct: which it was. */
static int
reach(const struct options *o, bool *ret_direct)
{
	struct conf_errors errors = {.report = say_error};
	const char *path = o->socket;
	struct conf *c = NULL;
	char err[300];
	int fd = -1;

	*ret_direct = false;
	if (!path || o->conf_given) {
		c = conf_load(o->conf_file, &errors);
		if (!c || errors.count > 0) {
			conf_put(c);
			return -1;
		}
		path = path ? path : find_socket(c);
	}
	if (path)
		fd = dial(path);
	if (fd != -1 || !c || (path && !nobody_there(errno))) {
		if (fd == -1)
			fprintf(stderr, "restante-deliver: %s: %s (%d)\n", path, strerrordesc_np(errno), errno);
		conf_put(c);
		return fd;
	}
	*ret_direct = true;
	fd = direct_open(c, &errors, err, sizeof(err));
	if (fd == -1)
		fprintf(stderr, "restante-deliver: %s\n", err);
	return fd;
}

static int
deliver(const struct options *o)
{
	bool direct;
	int rc, fd = reach(o, &direct);

	if (fd == -1)
		return EX_TEMPFAIL;
	rc = client_deliver(fd, o->sender, o->address, STDIN_FILENO);
	(void)close(fd); /* what was promised was said in a reply */
	if (direct)
		direct_close();
	return rc;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{"address", required_argument, NULL, 'a'}, {"from", required_argument, NULL, 'f'},
		{"socket", required_argument, NULL, 's'},  {"config", required_argument, NULL, 'c'},
		{"version", no_argument, NULL, 'V'},	   {"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct options o = {.conf_file = DEFAULT_CONF, .sender = ""};
	int opt;

	signal(SIGPIPE, SIG_IGN);
	while ((opt = getopt_long(argc, argv, "a:f:s:c:Vh", options, NULL)) != -1) {
		switch (opt) {
		case 'a':
			o.address = optarg;
			break;
		case 'f':
			o.sender = optarg;
			break;
		case 's':
			o.socket = optarg;
			break;
		case 'c':
			o.conf_file = optarg;
			o.conf_given = true;
			break;
		case 'V':
			printf("restante-deliver %s\n", PACKAGE_VERSION);
			return 0;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return EX_USAGE;
		}
	}
	if (optind < argc || !o.address || !*o.address) {
		usage(stderr);
		return EX_USAGE;
	}
	if (strcmp(o.sender, "<>") == 0)
		o.sender = "";
	return deliver(&o);
}

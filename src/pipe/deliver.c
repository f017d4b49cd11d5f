/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restante-deliver - one message from standard input into mailboxes, for the pipes of mail
 * servers. It hands it to restanted's LMTP socket; where no server answers it does the work
 * itself, if it may. The outcome is the exit code, one of sysexits.h, and a text on standard
 * error.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cmdline.h"
#include "pipe/client.h"
#include "pipe/dial.h"
#include "pipe/direct.h"
#include "pipe/sysexit.h"
#include "pipe/wait.h"

#define RCPTS_MAX 1000

struct options {
	const char *conf_file, *socket;
	bool verbose, has_sender, conf_given;
	struct address sender;
	struct address *rcpts;
	size_t n_rcpts;
};

/* ---- the configuration ----------------------------------------------------------------------- */

/* Errors are kept: whether they matter is known only when no server answers. */
struct complaints {
	char *text;
	size_t n;
	FILE *f;
};

static void
deliver_complain(void *ctx, const struct conf_where *w, const char *text)
{
	struct complaints *c = ctx;

	if (!c->f)
		return;
	if (w && w->file)
		fprintf(c->f, "4.3.5 restante-deliver: %s:%u:%u: %s\n", w->file, w->line, w->column,
			text);
	else
		fprintf(c->f, "4.3.5 restante-deliver: %s\n", text);
}

static void
complaints_print(struct complaints *c)
{
	if (c->f && fflush(c->f) == 0 && c->text)
		fputs(c->text, stderr);
}

/* ---- the way in ------------------------------------------------------------------------------ */

/* The way in without a server. -1: the reason was printed, *ret_rc is the exit code. */
static int
go_direct(const struct options *o, struct conf *c, struct conf_errors *e, int *ret_rc)
{
	char err[400];
	int fd;

	*ret_rc = EX_TEMPFAIL;
	if (!c || e->count > 0) {
		complaints_print(e->ctx);
		sysexit_print("4.3.5", "no server answers, and %s cannot be used", o->conf_file);
		conf_put(c);
		*ret_rc = EX_CONFIG;
		return -1;
	}
	fd = direct_open(c, o->verbose, e, err, sizeof(err));
	if (fd == -1 && e->count > 0) {
		complaints_print(e->ctx);
		*ret_rc = EX_CONFIG;
	}
	if (fd == -1)
		sysexit_print(e->count > 0 ? "4.3.5" : "4.3.0",
			      "no server answers, and without one: %s", err);
	return fd;
}

/* -s without -c names a server, and nothing else will do. */
static bool
may_go_direct(const struct options *o)
{
	return !o->socket || o->conf_given;
}

/* The server's socket if it answers, else our own. -1: the reason was printed, *ret_rc is the
 * exit code. */
static int
deliver_reach(const struct options *o, int *ret_rc)
{
	struct complaints kept = {0};
	struct conf_errors e = {.report = deliver_complain, .ctx = &kept};
	char err[400] = "";
	struct conf *c = NULL;
	int fd = -1;
	enum dial_result r = DIAL_NOBODY;

	kept.f = open_memstream(&kept.text, &kept.n);
	*ret_rc = EX_TEMPFAIL;
	if (o->socket)
		r = dial_path(o->socket, &fd, err, sizeof(err));
	if (r == DIAL_NOBODY && may_go_direct(o))
		c = conf_load(o->conf_file, &e);
	if (r == DIAL_NOBODY && c && !o->socket) /* even of a file that is just being changed */
		r = dial_conf(c, &fd, err, sizeof(err));
	if (r == DIAL_NOBODY && may_go_direct(o)) {
		fd = go_direct(o, c, &e, ret_rc);
	} else {
		conf_put(c);
		if (fd == -1)
			sysexit_print("4.4.1", "%s", err);
	}
	if (kept.f)
		(void)fclose(kept.f); /* memory only */
	free(kept.text);
	return fd;
}

/* ---- the message ----------------------------------------------------------------------------- */

static int
deliver(struct options *o)
{
	static struct pipein in;
	int rc = EX_TEMPFAIL, fd;

	if (!pipein_open(&in, STDIN_FILENO)) {
		sysexit_print("4.3.0", "standard input cannot be read: %s (%d)",
			      strerrordesc_np(errno), errno);
		return EX_TEMPFAIL;
	}
	if (pipein_empty(&in)) {
		sysexit_print("5.6.0", "there is no message on standard input");
		return EX_NOINPUT;
	}
	if (!o->has_sender && in.has_from)
		o->sender = in.from;
	fd = deliver_reach(o, &rc);
	if (fd != -1) {
		const struct client_mail m = {&in, &o->sender, o->rcpts, o->n_rcpts};

		rc = client_deliver(fd, &m);
		(void)close(fd); /* the replies have it all */
	}
	if (!direct_close())
		_exit(rc); /* the outcome is known all the same */
	return rc;
}

/* ---- the command line ------------------------------------------------------------------------ */

static int
add_rcpt(struct options *o, const char *text)
{
	struct address *more =
		o->n_rcpts < RCPTS_MAX ? realloc(o->rcpts, (o->n_rcpts + 1) * sizeof(*more)) : NULL;
	const char *wrong;

	if (!more) {
		sysexit_print("4.5.3", "more than %d recipients, or no memory", RCPTS_MAX);
		return EX_TEMPFAIL;
	}
	o->rcpts = more;
	wrong = pipein_address(text, strlen(text), &more[o->n_rcpts]);
	if (!wrong && more[o->n_rcpts].null) {
		sysexit_print("5.1.3", "-a '%.100s': a recipient is needed", text);
		return EX_USAGE;
	}
	if (wrong) {
		sysexit_print("5.1.3", "a recipient's address (-a) is impossible: %s", wrong);
		return EX_NOUSER;
	}
	o->n_rcpts++;
	return EX_OK;
}

static int
set_sender(struct options *o, const char *text)
{
	const char *wrong = pipein_address(text, strlen(text), &o->sender);

	o->has_sender = true;
	if (!wrong)
		return EX_OK;
	sysexit_print("5.1.7", "the sender's address (-f) is impossible: %s", wrong);
	return EX_DATAERR;
}

/* Exim and OpenSMTPD put them there; Exim lets no address of a stranger onto a command line. */
static int
use_environment(struct options *o)
{
	const char *recipient = getenv("RECIPIENT"), *sender = getenv("SENDER");
	int rc;

	if (!recipient) {
		sysexit_print("4.3.5", "-e: there is no RECIPIENT in the environment");
		return EX_USAGE;
	}
	rc = add_rcpt(o, recipient);
	return rc == EX_OK ? set_sender(o, sender ? sender : "") : rc;
}

/* One line, as it goes into logs and bounces; mail waits until the mail server's command line
 * is right. */
static int
deliver_misused(const char *what, const char *why)
{
	sysexit_print("4.3.5", "'%.100s' %s; see restante-deliver --help", what, why);
	return EX_USAGE;
}

static void
print_rest(FILE *to)
{
	fprintf(to,
		"Exit codes are those of sysexits.h: 0 delivered, 75 try again, 67 no such user.\n"
		"See restante-deliver(1).\n");
}

static const struct cmdline_option options[] = {
	{"address", 'a', "ADDRESS", "the recipient: user@example.org"},
	{"from", 'f', "SENDER",
	 "the envelope sender; '' or '<>': none\n"
	 "(default: that of a first line 'From sender ...', else none)"},
	{"environment", 'e', NULL, "recipient and sender are $RECIPIENT and $SENDER"},
	{"socket", 's', "PATH", "restanted's LMTP socket (default: that of the configuration)"},
	{"config", 'c', "FILE", "configuration (default " DEFAULT_CONF ")"},
	{"verbose", 'v', NULL, "without a server: the log goes to standard error"},
	{NULL, 0, NULL, NULL},
};

static const struct cmdline line = {
	"restante-deliver",
	"-a ADDRESS [-a ADDRESS ...] [-f SENDER] [-s SOCKET] [-c FILE] <message", options,
	print_rest};

/* EX_OK, or an exit code: the reason was printed. */
static int
deliver_take_option(struct options *o, char letter, const char *value)
{
	switch (letter) {
	case 'a':
		return add_rcpt(o, value);
	case 'f':
		return set_sender(o, value);
	case 'e':
		return use_environment(o);
	case 's':
		o->socket = value;
		return EX_OK;
	case 'c':
		o->conf_file = value;
		o->conf_given = true;
		return EX_OK;
	default:
		o->verbose = true;
		return EX_OK;
	}
}

/* EX_OK: there is work; -1: it was done; else the reason was printed. */
static int
deliver_read_options(struct options *o, int argc, char **argv)
{
	const char *value;
	int opt, rc = EX_OK;

	while (rc == EX_OK && (opt = cmdline_next(&line, argc, argv, &value)) != CMDLINE_END) {
		if (opt == CMDLINE_SERVED)
			return -1;
		if (opt == CMDLINE_WRONG)
			return deliver_misused(argv[optind - 1],
					       "is not an option, or lacks its value");
		rc = deliver_take_option(o, options[opt].letter, value);
	}
	if (rc == EX_OK && optind < argc)
		return deliver_misused(argv[optind], "is not an option");
	if (rc == EX_OK && o->n_rcpts == 0)
		return deliver_misused("-a", "is missing: a recipient is needed");
	return rc;
}

/* Each of the three is there: a socket must not get the number of one that is not. */
static void
open_missing(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		(void)close(fd); /* was only to see that the others are there */
}

int
main(int argc, char **argv)
{
	struct options o = {.conf_file = DEFAULT_CONF, .sender = {.null = true}};
	int rc;

	open_missing();
	wait_init();
	opterr = 0; /* reported in our own words */
	rc = deliver_read_options(&o, argc, argv);
	if (rc == EX_OK)
		rc = deliver(&o);
	free(o.rcpts);
	return rc == -1 ? EX_OK : rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "mailbox/warn.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "account/chain.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "host/answer.h"
#include "mailbox/letter.h"
#include "module/errand.h"

/* then it is given up: the next one comes when usage has fallen and risen again */
#define WARN_MS 300000

struct warning {
	struct letter letter;
	char head[32];
};

static void
warn_date(char *to, size_t cap)
{
	time_t now = wall_ms() / 1000;
	struct tm tm;

	gmtime_r(&now, &tm);
	if (strftime(to, cap, "%a, %d %b %Y %H:%M:%S +0000", &tm) == 0)
		*to = '\0';
}

static void
warn_put_usage(FILE *f, const char *what, uint64_t used, uint64_t limit)
{
	if (limit > 0)
		fprintf(f, "    %" PRIu64 " of %" PRIu64 " %s (%" PRIu64 " percent)\r\n", used,
			limit, what, (uint64_t)((double)used * 100 / (double)limit));
}

/* The text, in memory that looks like a file. -1: failed. */
static int
warn_message(const struct conf *c, const struct letter *d, const struct quota_limits *l,
	     const struct pm_stat *now)
{
	const char *at = strrchr(d->name, '@'), *domain = at ? at + 1 : c->hostname;
	unsigned char id[8];
	char when[64];
	FILE *f;
	int fd = memfd_create("quota-warning", MFD_CLOEXEC), copy = fd != -1 ? dup(fd) : -1;

	f = copy != -1 ? fdopen(copy, "w") : NULL;
	if (!f) {
		if (copy != -1)
			(void)close(copy);
		if (fd != -1)
			(void)close(fd);
		return -1;
	}
	warn_date(when, sizeof(when));
	secret_random(id, sizeof(id));
	fprintf(f,
		"Date: %s\r\nFrom: Mail system <postmaster@%s>\r\nTo: <%s>\r\nSubject: Your "
		"mailbox is nearly full\r\n"
		"Message-ID: <quota.%02x%02x%02x%02x%02x%02x%02x%02x@%s>\r\nAuto-Submitted: "
		"auto-generated\r\n"
		"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
		when, domain, d->name, id[0], id[1], id[2], id[3], id[4], id[5], id[6], id[7],
		c->hostname);
	fprintf(f, "Your mailbox holds\r\n\r\n");
	warn_put_usage(f, "octets", now->octets, l->octets);
	warn_put_usage(f, "messages", now->count, l->msgs);
	fprintf(f, "\r\nWhen it is full, new mail is not accepted. Please fetch your mail and "
		   "delete what you\r\n"
		   "do not need any more; deleting always works.\r\n\r\nThis is said once, and "
		   "again only after your mailbox "
		   "has become emptier.\r\n");
	if (fclose(f) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

static int32_t
warn_run(struct errand *e)
{
	return letter_step(&((struct warning *)e->ctx)->letter, &e->caller);
}

static void
warn_finish(struct errand *e, int32_t rc)
{
	struct warning *w = e->ctx;

	if (rc == PM_OK)
		log_msg(LOG_LVL_INFO, "quota", "user '%s' was warned", w->letter.name);
	else
		log_msg(LOG_LVL_WARNING, "quota", "user '%s' could not be warned: %s %s",
			w->letter.name, host_code_name(rc), w->letter.text);
	letter_fini(&w->letter);
	(void)close(w->letter.fd);
	free(w);
}

void
warn_send(struct conf *c, struct backend *storage, const struct pm_user *u,
	  const struct quota_limits *l, const struct pm_stat *now)
{
	struct warning *w = calloc(1, sizeof(*w));
	struct errand e = {.conf = c,
			   .name = "quota-warning",
			   .run = warn_run,
			   .finish = warn_finish,
			   .ctx = w,
			   .deadline_ms = mono_ms() + WARN_MS};

	/* looked up again, by its own name (account/recipient.h): the account may have moved
	 * meanwhile */
	(void)storage;
	if (!w)
		return;
	w->letter.conf = c;
	snprintf(w->head, sizeof(w->head), "Return-Path: <>\r\n");
	w->letter.head = w->head;
	w->letter.head_n = strlen(w->head);
	snprintf(w->letter.name, sizeof(w->letter.name), "%.*s", (int)u->name.n, u->name.p);
	secret_random(w->letter.op_id, sizeof(w->letter.op_id));
	letter_begin(&w->letter);
	w->letter.fd = warn_message(c, &w->letter, l, now);
	if (w->letter.fd == -1) {
		free(w);
		return;
	}
	if (!errand_start(&e)) {
		(void)close(w->letter.fd);
		free(w);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ledger of any bytes: it is read up to a sound place; records appended there are read again,
 * whatever comes before them; and a rewritten ledger is the same ledger. First byte: if odd, every
 * line gets the crc it should have - a fuzzer does not guess them - computed here bit by bit.
 */
#include <stdbool.h>

#include "fuzz.h"
#include "sdk/ledger.h"
#include "sdk/ledger_write.h"

#define HEADER "restante-ledger 1\n"
#define HEADER_N (sizeof(HEADER) - 1)
#define NAME "fuzz.appended"
#define UIDL "fuzz-uidl"
#define OP "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
#define NAME_LIMIT 255 /* of a file name: no longer one is ever written */

static uint32_t
model_crc(const char *p, size_t n)
{
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < n; i++) {
		crc ^= (uint8_t)p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
	}
	return ~crc;
}

/* Gives each line of p a crc, or replaces the one it has. Returns
 * where the last sound line ends: a line with nothing in it is none. */
static size_t
with_crcs(struct fuzz_text *t, const char *p, size_t n)
{
	const char *end = p + n, *lf;
	size_t sound = HEADER_N;
	char crc[16];

	fuzz_puts(t, HEADER);
	for (; p < end; p = lf + 1) {
		lf = memchr(p, '\n', (size_t)(end - p));
		if (!lf)
			break;
		if (lf - p > 9 && p[8] == ' ')
			p += 9;
		snprintf(crc, sizeof(crc), "%08x ", (unsigned)model_crc(p, (size_t)(lf - p)));
		if (lf > p)
			sound = t->n + 9 + (size_t)(lf - p) + 1;
		fuzz_puts(t, crc);
		fuzz_put(t, p, (size_t)(lf - p) + 1);
	}
	fuzz_put(t, p, p < end ? (size_t)(end - p) : 0);
	return sound;
}

/* NULL: a line was refused, as when there is no memory. */
static struct ledger *
read_all(const struct fuzz_text *t, size_t *ret_good)
{
	struct ledger *l = ledger_new();
	char *copy = fuzz_copy(t->p, t->n);
	bool ok;

	MUST(l != NULL);
	ok = ledger_read(l, copy, t->n, ret_good);
	free(copy); /* it keeps no pointer into the text */
	if (ok)
		return l;
	ledger_free(l);
	return NULL;
}

/* ---- rewriting ------------------------------------------------------------------------------- */

struct rewrite {
	struct ledger_out out;
	struct ledger *other;
	size_t count;
};

static bool
writable(const struct ledger_message *m)
{
	return m->identity_n <= NAME_LIMIT && m->uidl_n <= NAME_LIMIT &&
	       m->first_retrieved_ms >= 0 && m->hidden_until_ms >= 0 &&
	       !memchr(m->identity, '\0', m->identity_n) && !memchr(m->uidl, '\0', m->uidl_n);
}

static void
write_one(struct ledger_message *m, void *ctx)
{
	struct rewrite *r = ctx;

	MUST(m->identity[m->identity_n] == '\0' && m->uidl[m->uidl_n] == '\0');
	if (!writable(m))
		return;
	ledger_put_message(&r->out, m->identity, m->identity_n, m->uidl, m->uidl_n, m->octets,
			   m->stored, m->first_retrieved_ms, m->hidden_until_ms);
	r->count++;
}

static void
compare_one(struct ledger_message *m, void *ctx)
{
	struct rewrite *r = ctx;
	struct ledger_message *o;

	if (!writable(m))
		return;
	o = ledger_find(r->other, m->identity, m->identity_n);
	MUST(o && o->identity_n == m->identity_n &&
	     memcmp(o->identity, m->identity, m->identity_n) == 0);
	MUST(o->uidl_n == m->uidl_n && memcmp(o->uidl, m->uidl, m->uidl_n) == 0);
	MUST(o->octets == m->octets && (o->stored == m->stored || m->octets == LEDGER_UNKNOWN));
	MUST(o->first_retrieved_ms == m->first_retrieved_ms &&
	     o->hidden_until_ms == m->hidden_until_ms);
}

static void
check_rewrite(struct ledger *l)
{
	struct rewrite r = {0};
	struct fuzz_text t = {0};
	size_t good;

	ledger_put_header(&r.out);
	ledger_each(l, write_one, &r);
	MUST(!r.out.failed);
	fuzz_put(&t, r.out.text, r.out.n);
	r.other = read_all(&t, &good);
	MUST(r.other && good == t.n && ledger_count(r.other) == r.count &&
	     ledger_lines(r.other) == r.count);
	ledger_each(l, compare_one, &r);
	ledger_free(r.other);
	ledger_out_free(&r.out);
	fuzz_text_free(&t);
}

/* ---- appending ------------------------------------------------------------------------------- */

static void
put_ours(struct ledger_out *o, bool header)
{
	if (header)
		ledger_put_header(o);
	ledger_put_message(o, NAME, sizeof(NAME) - 1, UIDL, sizeof(UIDL) - 1, 1234, 1200, 0, 0);
	ledger_put_mark(o, 'F', NAME, sizeof(NAME) - 1, 42);
	ledger_put_mark(o, 'H', NAME, sizeof(NAME) - 1, 43);
	ledger_put_delete(o, OP, NAME, sizeof(NAME) - 1);
	ledger_put_commit(o, OP, 1, 44);
	MUST(!o->failed);
}

static void
check_ours(struct ledger *l, size_t lines)
{
	struct ledger_message *m = ledger_find(l, NAME, sizeof(NAME) - 1);

	MUST(m && m->octets == 1234 && m->stored == 1200 && m->deleted);
	MUST(m->first_retrieved_ms == 42 && m->hidden_until_ms == 43);
	MUST(ledger_has_uidl(l, UIDL, sizeof(UIDL) - 1));
	MUST(ledger_has_group(l, OP));
	MUST(ledger_lines(l) == lines);
	MUST(ledger_unfinished(l, NULL) && strcmp(ledger_unfinished(l, NULL), OP) == 0);
}

/* As a store appends: after the last sound byte, over any torn tail. */
static void
check_append(const struct fuzz_text *t, size_t good, size_t lines)
{
	struct ledger_out o = {0};
	struct fuzz_text longer = {0};
	struct ledger *l;
	size_t now;

	put_ours(&o, good == 0);
	fuzz_put(&longer, t->p, good);
	fuzz_put(&longer, o.text, o.n);
	l = read_all(&longer, &now);
	MUST(l && now == longer.n);
	check_ours(l, lines + 5);
	ledger_free(l);
	o.n = 0;
	ledger_put_done(&o, OP);
	fuzz_put(&longer, o.text, o.n);
	fuzz_puts(&longer, "00000000 C torn");
	l = read_all(&longer, &now);
	MUST(l && now == longer.n - strlen("00000000 C torn"));
	for (const char *op = NULL; (op = ledger_unfinished(l, op)) != NULL;)
		MUST(strcmp(op, OP) != 0);
	ledger_free(l);
	ledger_out_free(&o);
	fuzz_text_free(&longer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct fuzz_text t = {0};
	struct ledger *l;
	size_t good = 1, sound = 0;

	if (n == 0)
		return 0;
	if (data[0] & 1)
		sound = with_crcs(&t, (const char *)data + 1, n - 1);
	else
		fuzz_put(&t, data + 1, n - 1);
	l = read_all(&t, &good);
	if (l) {
		size_t lines = ledger_lines(l);

		MUST(sound == 0 || good == sound);
		MUST(good <= t.n && (good > 0 || lines == 0));
		check_rewrite(l);
		/* an input that happens to use our own names may contain anything about them */
		if (good == 0 ||
		    (!memmem(t.p, good, NAME, strlen(NAME)) && !memmem(t.p, good, OP, strlen(OP))))
			check_append(&t, good, lines);
	}
	ledger_free(l);
	fuzz_text_free(&t);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Mail as bytes: line ends, sizes, reading. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kit.h"

#define TEXT(s) \
	{ \
		s, sizeof(s) - 1 \
	}

/* Text from the wire: lines end in CRLF; the rest is data. */
static const struct {
	const char *p;
	size_t n;
} shapes[] = {
	TEXT("Subject: plain\r\n\r\none\r\ntwo\r\n"),
	TEXT("Subject: no last end\r\n\r\none\r\ntwo"),
	TEXT("Subject: header only\r\n"),
	TEXT("Subject: header, no end"),
	TEXT(""),
	TEXT("\r\n"),
	TEXT("\r\n\r\n\r\n"),
	TEXT(".\r\n"),
	TEXT(".first\r\n..two\r\n.\r\n\r\n."),
	TEXT("Subject: a lone CR\r\n\r\na\rb\r\n\rc\r\r\nd\r\r\r\n"),
	TEXT("Subject: a CR at the end\r\n\r\nlast\r"),
	TEXT("Subject: NUL\r\n\r\na\0b\0\r\n\0\r\n"),
	TEXT("Subject: high\r\n\r\n\xff\xfe\x80 caf\xc3\xa9\r\n"),
	TEXT("From here it looks like an mbox\r\n\r\nFrom me\r\n>From you\r\n"),
	TEXT("Subject: blanks\r\n\r\n \t \r\n\x1a\r\n\f\r\n"),
};
#define N_SHAPES (sizeof(shapes) / sizeof(shapes[0]))

/* Message `index` compared with the delivered one: the line-end law. */
static void
octets_compare(struct box *b, uint64_t index, const char *p, size_t n, const char *name, size_t cap)
{
	struct bytes in = {(char *)(uintptr_t)p, n}, stored = box_read(b, index, cap);
	struct pm_msg m = box_one(b, index, PM_WANT_OCTETS);
	char *expected, *got;
	size_t n_expected = kit_wire(in, &expected), n_got = kit_wire(stored, &got), at = 0;

	while (at < n_expected && at < n_got && expected[at] == got[at])
		at++;
	EXPECT(n_expected == n_got && at == n_got,
	       "%s: delivered %zu octets, %zu come back; they differ at octet %zu", name,
	       n_expected, n_got, at);
	EXPECT(m.stored_bytes == stored.n, "%s: stored_bytes is %llu, msg_read gave %zu", name,
	       (unsigned long long)m.stored_bytes, stored.n);
	EXPECT(m.octets == n_got, "%s: octets is %llu, on the wire it is %zu", name,
	       (unsigned long long)m.octets, n_got);
	free(expected);
	free(got);
	free(stored.p);
}

static void
shapes_come_back(void)
{
	struct inst *in = kit_open();
	char name[60];
	struct box b;

	for (size_t k = 0; k < N_SHAPES; k++) {
		kit_empty(in, 0);
		kit_deliver(in, 0, shapes[k].p, shapes[k].n);
		b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
		EXPECT(b.n == 1, "shape %zu: %llu messages instead of 1", k,
		       (unsigned long long)b.n);
		snprintf(name, sizeof(name), "shape %zu (%.30s)", k, shapes[k].p);
		octets_compare(&b, 0, shapes[k].p, shapes[k].n, name, 4096);
		box_close(&b);
	}
	kit_close(in);
}

/* Sizes announced before a message was read and those in the next session are the same. */
static void
sizes_stay(void)
{
	struct inst *in = kit_open();
	struct pm_msg m[N_SHAPES], again[N_SHAPES];
	struct box b;

	kit_empty(in, 0);
	for (size_t k = 0; k < N_SHAPES; k++)
		kit_deliver(in, 0, shapes[k].p, shapes[k].n);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	EXPECT(b.n == N_SHAPES, "%zu messages were delivered, %llu are there", N_SHAPES,
	       (unsigned long long)b.n);
	box_info(&b, 0, N_SHAPES, PM_WANT_OCTETS, m);
	for (size_t k = 0; k < N_SHAPES; k++) {
		struct bytes t = box_read(&b, k, 333);

		EXPECT(m[k].octets == kit_wire(t, NULL),
		       "message %zu: announced %llu octets, it has %zu", k,
		       (unsigned long long)m[k].octets, kit_wire(t, NULL));
		free(t.p);
	}
	box_close(&b);
	if (!setup.in_memory) {
		kit_close(in);
		in = kit_open();
	}
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	box_info(&b, 0, N_SHAPES, PM_WANT_OCTETS, again);
	for (size_t k = 0; k < N_SHAPES; k++)
		EXPECT(m[k].octets == again[k].octets && m[k].stored_bytes == again[k].stored_bytes,
		       "message %zu has another size in the next session", k);
	box_close(&b);
	kit_close(in);
}

/* The host asks once more when a message is open, and announces that. */
static void
asked_while_open(void)
{
	struct inst *in = kit_open();
	const struct pm_storage *s = in->m->storage;
	struct pm_msg m[N_SHAPES];
	char buf[7];
	struct box b;

	kit_empty(in, 0);
	for (size_t k = 0; k < N_SHAPES; k++)
		kit_deliver(in, 0, shapes[k].p, shapes[k].n);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	for (size_t k = 0; k < N_SHAPES; k++) {
		struct bytes t = box_read(&b, k, 333);
		uint64_t n = 0;
		size_t got = 0;
		void *msg = NULL;
		int32_t rc;

		expect_rc("msg_open", s->msg_open(b.h, kit_pm(), k, &msg), PM_OK);
		while ((rc = s->msg_read(msg, kit_pm(), buf, sizeof(buf), &got)) == PM_OK) {
			EXPECT(n + got <= t.n && memcmp(buf, t.p + n, got) == 0,
			       "message %zu: asked for sizes while it is open, it goes on with "
			       "other bytes",
			       k);
			n += got;
			box_info(&b, 0, N_SHAPES, PM_WANT_OCTETS, m);
			EXPECT(m[k].octets == kit_wire(t, NULL),
			       "message %zu: while it is open octets is %llu, it has %zu", k,
			       (unsigned long long)m[k].octets, kit_wire(t, NULL));
		}
		expect_rc("msg_read", rc, PM_END);
		EXPECT(n == t.n,
		       "message %zu: asked for sizes while it is open, it ends after %llu of %zu "
		       "bytes",
		       k, (unsigned long long)n, t.n);
		s->msg_close(msg, kit_pm());
		free(t.p);
	}
	box_close(&b);
	kit_close(in);
}

/* A flag that a message is unreadable keeps it from its owner. */
static void
octets_readable(void)
{
	struct inst *in = kit_open();
	struct pm_msg m[N_SHAPES];
	struct box b;

	kit_empty(in, 0);
	for (size_t k = 0; k < N_SHAPES; k++)
		kit_deliver(in, 0, shapes[k].p, shapes[k].n);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	box_info(&b, 0, N_SHAPES, PM_WANT_OCTETS | PM_WANT_META, m);
	for (size_t k = 0; k < N_SHAPES; k++) {
		free(box_read(&b, k, 4096).p);
		EXPECT(!(m[k].flags & PM_MSG_UNREADABLE),
		       "message %zu is said to be unreadable, and can be read", k);
	}
	box_close(&b);
	kit_close(in);
}

static char *
large_text(size_t n)
{
	char *p = malloc(n);
	uint32_t x = 12345;

	EXPECT(p, "no memory");
	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		p[i] = (char)('!' + (x >> 24) % 90);
		if (i % 77 == 75)
			p[i] = '\r';
		if (i % 77 == 76)
			p[i] = '\n';
	}
	return p;
}

static void
octets_large(void)
{
	enum { SIZE = 3 << 20 };
	struct inst *in = kit_open();
	char *p = large_text(SIZE);
	struct box b;

	kit_empty(in, 0);
	kit_deliver(in, 0, p, SIZE);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	EXPECT(b.n == 1, "1 message was delivered, %llu are there", (unsigned long long)b.n);
	octets_compare(&b, 0, p, SIZE, "3 MiB", 16384);
	octets_compare(&b, 0, p, SIZE, "3 MiB in large reads", 1 << 20);
	box_close(&b);
	free(p);
	kit_close(in);
}

static void
one_line(void)
{
	enum { SIZE = 1 << 20 };
	struct inst *in = kit_open();
	char *p = malloc(SIZE);
	struct box b;

	EXPECT(p, "no memory");
	memset(p, 'x', SIZE);
	kit_empty(in, 0);
	kit_deliver(in, 0, p, SIZE);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	octets_compare(&b, 0, p, SIZE, "a line of 1 MiB", 8192);
	box_close(&b);
	free(p);
	kit_close(in);
}

/* ---- reading --------------------------------------------------------------------------------- */

static void
any_buffer(void)
{
	static const size_t caps[] = {1, 2, 7, 1000, 65536};
	struct inst *in = kit_open();
	char *p = large_text(5000);
	struct box b;

	kit_empty(in, 0);
	kit_deliver(in, 0, p, 5000);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	for (size_t k = 0; k < sizeof(caps) / sizeof(caps[0]); k++) {
		char name[40];

		snprintf(name, sizeof(name), "in reads of %zu", caps[k]);
		octets_compare(&b, 0, p, 5000, name, caps[k]);
	}
	box_close(&b);
	free(p);
	kit_close(in);
}

static void
end_stays(void)
{
	struct inst *in = kit_open();
	const struct pm_storage *s = in->m->storage;
	size_t got = 4711;
	void *msg = NULL;
	struct box b;
	char buf[4096];
	int32_t rc;

	kit_empty(in, 0);
	kit_deliver_many(in, 0, "end", 1);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	expect_rc("msg_open", s->msg_open(b.h, kit_pm(), 0, &msg), PM_OK);
	while ((rc = s->msg_read(msg, kit_pm(), buf, sizeof(buf), &got)) == PM_OK)
		;
	for (int k = 0; k < 3; k++) {
		expect_rc("msg_read after the last byte", rc, PM_END);
		got = 4711;
		rc = s->msg_read(msg, kit_pm(), buf, sizeof(buf), &got);
		EXPECT(got == 4711, "PM_END, and the number of bytes was written to");
	}
	s->msg_close(msg, kit_pm());
	box_close(&b);
	kit_close(in);
}

static void
index_range(void)
{
	static const uint64_t bad[] = {2, 3, UINT64_MAX};
	struct inst *in = kit_open();
	int mark;
	struct box b;

	kit_empty(in, 0);
	kit_deliver_many(in, 0, "index", 2);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	for (int k = 0; k < 3; k++) {
		void *msg = &mark;

		expect_rc("msg_open beyond the snapshot",
			  in->m->storage->msg_open(b.h, kit_pm(), bad[k], &msg), PM_INVALID);
		EXPECT(msg == &mark, "PM_INVALID, and the handle was written to");
	}
	box_close(&b);
	kit_close(in);
}

/* TOP: read a little, close, continue with the next one. */
static void
early_close(void)
{
	struct inst *in = kit_open();
	const struct pm_storage *s = in->m->storage;
	char buf[10], *p = large_text(300000);
	struct box b;

	kit_empty(in, 0);
	kit_deliver(in, 0, p, 300000);
	kit_deliver_many(in, 0, "early", 1);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	for (int k = 0; k < 50; k++) {
		void *msg = NULL;
		size_t got = 0;

		expect_rc("msg_open", s->msg_open(b.h, kit_pm(), (uint64_t)k % 2, &msg), PM_OK);
		if (k % 3)
			expect_rc("msg_read", s->msg_read(msg, kit_pm(), buf, sizeof(buf), &got),
				  PM_OK);
		s->msg_close(msg, kit_pm());
	}
	octets_compare(&b, 0, p, 300000, "after 50 messages left early", 4096);
	box_close(&b);
	free(p);
	kit_close(in);
}

static void
file_range(void)
{
	struct inst *in = kit_open();
	const struct pm_storage *s = in->m->storage;
	int seen = 0;
	struct box b;

	kit_empty(in, 0);
	for (size_t k = 0; k < N_SHAPES; k++)
		kit_deliver(in, 0, shapes[k].p, shapes[k].n);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	for (uint64_t k = 0; k < b.n; k++) {
		struct bytes t = box_read(&b, k, 4096);
		uint64_t off = 0, len = 0;
		int32_t fd = -1, rc;
		void *msg = NULL;
		char *wire;

		expect_rc("msg_open", s->msg_open(b.h, kit_pm(), k, &msg), PM_OK);
		rc = s->msg_fd(msg, kit_pm(), &fd, &off, &len);
		if (rc == PM_OK) {
			char *raw = malloc(len + 1);

			seen++;
			EXPECT(raw && pread(fd, raw, len, (off_t)off) == (ssize_t)len,
			       "message %llu: cannot read its range", (unsigned long long)k);
			EXPECT(len == t.n && memcmp(raw, t.p, len) == 0,
			       "message %llu: the range is not what msg_read gives",
			       (unsigned long long)k);
			EXPECT(kit_wire(t, &wire) == len && memcmp(wire, t.p, len) == 0 &&
				       (len == 0 || t.p[0] != '.') && !memmem(t.p, t.n, "\n.", 2),
			       "message %llu is not clean for the wire and has a file range",
			       (unsigned long long)k);
			free(wire);
			free(raw);
		} else {
			expect_rc("msg_fd", rc, PM_UNSUPPORTED);
		}
		s->msg_close(msg, kit_pm());
		free(t.p);
	}
	box_close(&b);
	kit_close(in);
	if (!seen)
		kit_skip("no message was stored clean for the wire");
}

const struct check checks_octets[] = {
	{"octets.law", "MAIL AS BYTES",
	 "line ends, lone CR, NUL, dots and missing ends come back as the law says", NEED_DELIVERY,
	 shapes_come_back},
	{"octets.sizes", "MAIL AS BYTES; RFC 1939 section 11",
	 "octets is the size on the wire, in every session", NEED_DELIVERY, sizes_stay},
	{"octets.open", "mbox_info; msg_open",
	 "asked while the message is open, too, whatever was read of it", NEED_DELIVERY,
	 asked_while_open},
	{"octets.readable", "PM_MSG_UNREADABLE", "only for a message that cannot be read",
	 NEED_DELIVERY, octets_readable},
	{"octets.large", "msg_read", "3 MiB come back octet for octet", NEED_DELIVERY,
	 octets_large},
	{"octets.one-line", "MAIL AS BYTES", "a line of 1 MiB without an end", NEED_DELIVERY,
	 one_line},
	{"read.buffers", "msg_read", "the bytes do not depend on the size of the reads",
	 NEED_DELIVERY, any_buffer},
	{"read.end", "msg_read; R5", "PM_END again and again, the number untouched", NEED_DELIVERY,
	 end_stays},
	{"read.index", "msg_open; R5", "beyond the snapshot: PM_INVALID, the handle untouched",
	 NEED_DELIVERY, index_range},
	{"read.early-close", "msg_close", "a message may be closed before its end", NEED_DELIVERY,
	 early_close},
	{"read.file-range", "msg_fd", "the range is the message, and only of a wire-clean one",
	 NEED_DELIVERY | NEED_FD, file_range},
	{0},
};

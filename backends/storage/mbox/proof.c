/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proof - whether a message is still where the snapshot has it. Offsets are remembered: by the
 * session from one look to the next, and by the index (index.c) from one session to the next.
 * Meanwhile other programs move messages about. Dovecot does so without changing the size, and mutt
 * restores the time of the last change.
 *
 * An index of a file that has grown since is trusted as far as its prints go: of each message's
 * header and the last bytes of its text, and an empty line after it. That finds any message that
 * moved or was replaced, and reads a small part of the file only. A message that is known by its
 * print is hashed while it is sent. And nothing is cut out of a mailbox that was not hashed again
 * under the MTA's locks, from its From_ line, after an empty line, to the next From_ line.
 */
#include "proof.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "from_kind.h"
#include "mbox.h"
#include "parse.h"
#include "snap.h"

#define HEADER_MAX 65536 /* of a header; a longer one is checked when it is read */
#define TAIL 512

/* ---- prints ---------------------------------------------------------------------------------- */

static bool
add_bytes(EVP_MD_CTX *md, int fd, uint64_t from, uint64_t to)
{
	char buf[8192];

	while (from < to) {
		size_t n = to - from < sizeof(buf) ? (size_t)(to - from) : sizeof(buf);

		if (bytes_read(fd, buf, n, from) != 0 || EVP_DigestUpdate(md, buf, n) != 1)
			return false;
		from += n;
	}
	return true;
}

bool
proof_print(int fd, const struct item *it, unsigned char ret[MBOX_PRINT])
{
	const uint64_t lengths[] = {it->body - it->from, it->text - it->from, it->end - it->from};
	uint64_t header = it->text - it->from, tail = it->end - it->text;
	unsigned char sum[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok;

	header = header < HEADER_MAX ? header : HEADER_MAX;
	tail = tail < TAIL ? tail : TAIL;
	ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
	     EVP_DigestUpdate(md, lengths, sizeof(lengths)) == 1 &&
	     add_bytes(md, fd, it->from, it->from + header) &&
	     add_bytes(md, fd, it->end - tail, it->end) && EVP_DigestFinal_ex(md, sum, NULL) == 1;
	EVP_MD_CTX_free(md);
	if (ok)
		memcpy(ret, sum, MBOX_PRINT);
	return ok;
}

/* True for LF or CRLF, and nothing else. */
static bool
is_line_end(int fd, uint64_t from, uint64_t to)
{
	char buf[2];
	size_t n = (size_t)(to - from);

	if (to <= from || n > 2 || bytes_read(fd, buf, n, from) != 0)
		return false;
	return buf[n - 1] == '\n' && (n == 1 || buf[0] == '\r');
}

bool
proof_stands(int fd, const struct item *it)
{
	unsigned char now[MBOX_PRINT];

	return is_line_end(fd, it->end, it->next) && proof_print(fd, it, now) &&
	       memcmp(now, it->print, MBOX_PRINT) == 0;
}

bool
proof_begins(int fd, const struct item *it)
{
	char line[MBOX_HEAD];
	size_t n = (size_t)(it->body - it->from);

	if (it->body <= it->from || n > sizeof(line) || bytes_read(fd, line, n, it->from) != 0 ||
	    line[n - 1] != '\n')
		return false;
	n -= n > 1 && line[n - 2] == '\r' ? 2 : 1;
	return !memchr(line, '\n', n) && from_kind(line, n) != FROM_NOT;
}

/* True if mail begins at `at`, or the file ends there. */
static bool
mail_or_end(int fd, uint64_t at, uint64_t size)
{
	char line[MBOX_HEAD + 100];
	size_t n = size - at < sizeof(line) ? (size_t)(size - at) : sizeof(line);

	if (at >= size)
		return at == size;
	return bytes_read(fd, line, n, at) == 0 && from_begins(line, n);
}

bool
proof_ends(int fd, const struct item *it, uint64_t size)
{
	bool last = it->end == it->next && it->next == size;

	return last || (is_line_end(fd, it->end, it->next) && mail_or_end(fd, it->next, size));
}

/* ---- whole messages -------------------------------------------------------------------------- */

static bool
proof_found(void *ctx, const struct mbox_found *f)
{
	struct proof *x = ctx;

	x->found = *f;
	x->n++;
	return true;
}

bool
proof_begin(struct proof *x, const struct inst *i, const struct item *it)
{
	*x = (struct proof){.parse = {.how = i->rd ? MBOX_UNQUOTE_RD : MBOX_AS_IS,
				      .message = proof_found,
				      .ctx = x}};
	return parse_init(&x->parse, it->from);
}

bool
proof_feed(struct proof *x, const char *buf, size_t n)
{
	return parse_feed(&x->parse, buf, n);
}

bool
proof_is(struct proof *x, const struct item *it)
{
	const struct mbox_found *f = &x->found;

	return parse_end(&x->parse) && x->n == 1 && x->parse.junk == 0 &&
	       f->body - f->from == it->body - it->from && f->end - f->from == it->end - it->from &&
	       f->octets == it->octets && f->stored == it->stored &&
	       memcmp(f->hash, it->hash, MBOX_HASH) == 0;
}

void
proof_free(struct proof *x)
{
	parse_free(&x->parse);
}

/* ---- messages to be cut out ------------------------------------------------------------------ */

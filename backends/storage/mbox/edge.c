/* SPDX-License-Identifier: Apache-2.0 */
#include "edge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "mbox.h"

#define BYTES_MAX 512

struct edge
edge_of_message(const struct item *it, uint64_t to, bool rd)
{
	struct edge e = {.from = it->from,
			 .kind = rd ? EDGE_MESSAGE_RD : EDGE_MESSAGE,
			 .gap = (uint32_t)(to - it->end)};

	memcpy(e.hash, it->hash, MBOX_HASH);
	return e;
}

static int
hash_bytes(int fd, uint64_t from, uint64_t to, unsigned char hash[MBOX_HASH])
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	char buf[BYTES_MAX];
	size_t n = (size_t)(to - from);
	int e = to < from || n > sizeof(buf) ? EINVAL : bytes_read(fd, buf, n, from);

	if (e == 0 && EVP_Digest(buf, n, sum, NULL, EVP_sha256(), NULL) != 1)
		e = ENOMEM;
	if (e == 0)
		memcpy(hash, sum, MBOX_HASH);
	return e;
}

bool
edge_of_bytes(int fd, uint64_t from, uint64_t to, struct edge *ret)
{
	*ret = (struct edge){.kind = EDGE_NONE};
	if (from >= to)
		return true;
	ret->kind = EDGE_BYTES;
	ret->from = to - from > BYTES_MAX ? to - BYTES_MAX : from;
	return hash_bytes(fd, ret->from, to, ret->hash) == 0;
}

struct finding {
	struct mbox_found found;
	unsigned n;
};

static bool
edge_found(void *ctx, const struct mbox_found *f)
{
	struct finding *x = ctx;

	x->found = *f;
	x->n++;
	return true;
}

/* Reads [e->from, to): it has to be that message, whole, and no more. */
static int
message_stands(int fd, const struct edge *e, uint64_t to, bool *ret)
{
	struct finding x = {0};
	struct mbox_parse p = {.how = e->kind == EDGE_MESSAGE_RD ? MBOX_UNQUOTE_RD : MBOX_AS_IS,
			       .message = edge_found,
			       .ctx = &x};
	char *buf = malloc(PIECE);
	int rc = buf && parse_init(&p, e->from) ? 0 : ENOMEM;

	for (uint64_t at = e->from; rc == 0 && at < to;) {
		size_t n = to - at < PIECE ? (size_t)(to - at) : PIECE;

		rc = bytes_read(fd, buf, n, at);
		if (rc == 0 && !parse_feed(&p, buf, n))
			rc = ENOMEM;
		at += n;
	}
	if (rc == 0 && !parse_end(&p))
		rc = ENOMEM;
	*ret = rc == 0 && x.n == 1 && p.junk == 0 && x.found.end + e->gap == to &&
	       memcmp(x.found.hash, e->hash, MBOX_HASH) == 0;
	parse_free(&p);
	free(buf);
	return rc;
}

int
edge_stands(int fd, const struct edge *e, uint64_t to, bool *ret)
{
	unsigned char now[MBOX_HASH];
	int rc;

	*ret = true;
	if (e->kind == EDGE_NONE)
		return 0;
	if (e->kind != EDGE_BYTES)
		return message_stands(fd, e, to, ret);
	rc = hash_bytes(fd, e->from, to, now);
	*ret = rc == 0 && memcmp(now, e->hash, MBOX_HASH) == 0;
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "parse.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "from_kind.h"

#define GT_MAX 100 /* with more '>'s than this it is a drawing */

/* ---- quoting --------------------------------------------------------------------------------- */

static const char from_word[] = "From ";

/* Writes the bytes that were held back of a line, once it is known whether to quote it. */
static size_t
parse_let_go(struct mbox_quote *q, bool is_from, char *out)
{
	unsigned gt = q->gt;
	size_t n;

	if (is_from && q->how == MBOX_UNQUOTE_RD && gt > 0)
		gt--;
	else if (is_from && (q->how == MBOX_QUOTE_RD || (q->how == MBOX_QUOTE_O && gt == 0)))
		gt++;
	memset(out, '>', gt);
	n = gt;
	memcpy(out + n, from_word, q->matched);
	n += q->matched;
	q->gt = q->matched = 0;
	q->mid = true;
	return n;
}

/* Takes one byte at the beginning of a line. */
static size_t
begin_line(struct mbox_quote *q, char c, char *out)
{
	size_t n;

	if (c == '>' && q->matched == 0 && q->gt < GT_MAX) {
		q->gt++;
		return 0;
	}
	if (c == from_word[q->matched]) {
		q->matched++;
		return q->matched == 5 ? parse_let_go(q, true, out) : 0;
	}
	n = parse_let_go(q, false, out);
	out[n++] = c;
	q->mid = c != '\n';
	return n;
}

size_t
parse_quote(struct mbox_quote *q, const char *in, size_t n, char *out)
{
	const char *end = in + n;
	size_t o = 0;

	if (q->how == MBOX_AS_IS) {
		memcpy(out, in, n);
		return n;
	}
	while (in < end) {
		const char *lf;
		size_t k;

		if (!q->mid) {
			o += begin_line(q, *in++, out + o);
			continue;
		}
		lf = memchr(in, '\n', (size_t)(end - in));
		k = lf ? (size_t)(lf - in) + 1 : (size_t)(end - in);
		memcpy(out + o, in, k);
		o += k;
		in += k;
		q->mid = !lf;
	}
	return o;
}

size_t
parse_quote_end(struct mbox_quote *q, char *out)
{
	return q->how != MBOX_AS_IS && !q->mid ? parse_let_go(q, false, out) : 0;
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* The date of a From_ line, n bytes. 0: none. */
static int64_t
parse_from_date(const char *line, size_t n)
{
	static const char *const forms[] = {"%a %b %d %H:%M:%S %Y", "%a %b %d %H:%M:%S %Z %Y",
					    "%a %b %d %H:%M %Y", "%a, %d %b %Y %H:%M:%S"};
	char text[MBOX_HEAD + 1];

	if (n > MBOX_HEAD)
		return 0;
	memcpy(text, line, n);
	text[n] = '\0';
	for (const char *p = text; (p = strchr(p, ' ')) != NULL; p++)
		for (size_t k = 0; k < sizeof(forms) / sizeof(forms[0]); k++) {
			struct tm tm = {0};
			time_t t = strptime(p + 1, forms[k], &tm) ? timegm(&tm) : 0;

			if (t > 0)
				return (int64_t)t * 1000;
		}
	return 0;
}

/* Headers that mail programs rewrite; popa3d and Dovecot know the same. */
static bool
is_rewritten(const char *line, size_t n)
{
	static const char *const names[] = {"Status",     "X-Status",       "X-Keywords",
					    "X-UID",      "X-UIDL",         "X-IMAP",
					    "X-IMAPbase", "Content-Length", "Lines"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t k = strlen(names[i]);

		if (n > k && line[k] == ':' && strncasecmp(line, names[i], k) == 0)
			return true;
	}
	return false;
}

enum { MARK_IMAP = 1, MARK_SUBJECT = 2, MARKS = 3 };

/* The mark of an internal message in a header line: UIDVALIDITY and the next UID, or a warning. */
static unsigned
internal_mark(const char *line, size_t n)
{
	static const char imap[] = "X-IMAP:", subject[] = "Subject:",
			  text[] = "DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA";
	size_t at = sizeof(subject) - 1;

	if (n >= sizeof(imap) && strncasecmp(line, imap, sizeof(imap) - 1) == 0)
		return MARK_IMAP;
	if (n <= at || strncasecmp(line, subject, at) != 0)
		return 0;
	while (at < n && line[at] == ' ')
		at++;
	if (n - at < sizeof(text) || memcmp(line + at, text, sizeof(text) - 1) != 0)
		return 0;
	for (at += sizeof(text) - 1; at < n; at++)
		if (!memchr(" \t\r\n", line[at], 4))
			return 0;
	return MARK_SUBJECT;
}

/* The length that Content-Length gives. Nothing depends on it; it is only logged when it is wrong.
 */
static uint64_t
said_length(const char *line, size_t n)
{
	static const char name[] = "Content-Length:";
	uint64_t v = 0;

	if (n < sizeof(name) || strncasecmp(line, name, sizeof(name) - 1) != 0)
		return UINT64_MAX;
	for (size_t k = sizeof(name) - 1; k < n; k++) {
		if (line[k] >= '0' && line[k] <= '9' && v < UINT64_MAX / 100)
			v = v * 10 + (uint64_t)(line[k] - '0');
		else if (line[k] != ' ' && line[k] != '\r' && line[k] != '\n')
			return UINT64_MAX;
	}
	return v;
}

static uint64_t
count_nuls(const char *p, size_t n)
{
	uint64_t nuls = 0;

	for (const char *end = p + n; (p = memchr(p, '\0', (size_t)(end - p))) != NULL; p++)
		nuls++;
	return nuls;
}

static size_t
without_end(const char *line, size_t n)
{
	if (n > 0 && line[n - 1] == '\n')
		n--;
	if (n > 0 && line[n - 1] == '\r')
		n--;
	return n;
}

/* ---- messages -------------------------------------------------------------------------------- */

/* Takes bytes of the message itself: unquotes, counts and hashes them. */
static void
parse_content(struct mbox_parse *p, const char *buf, size_t n)
{
	char out[4096 + MBOX_QUOTE_MORE];

	while (p->inside && n > 0) {
		size_t k = n < 4096 ? n : 4096, o = parse_quote(&p->quote, buf, k, out);

		sdk_octets_feed(&p->octets, out, o);
		if (!p->unhashed && EVP_DigestUpdate(p->md, out, o) != 1)
			p->failed = true;
		buf += k;
		n -= k;
	}
	if (!p->inside)
		p->junk += n;
}

static void
parse_finish(struct mbox_parse *p, uint64_t end)
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	char out[MBOX_QUOTE_MORE];
	size_t o;

	if (!p->inside)
		return;
	p->inside = false;
	o = parse_quote_end(&p->quote, out);
	sdk_octets_feed(&p->octets, out, o);
	if (EVP_DigestUpdate(p->md, out, o) != 1 || EVP_DigestFinal_ex(p->md, sum, NULL) != 1) {
		p->failed = true;
		return;
	}
	if (p->said != UINT64_MAX &&
	    (p->in_header || p->text_at > end || p->said != end - p->text_at))
		p->lies++;
	p->found.end = end;
	p->found.text = p->in_header ? end : p->text_at < end ? p->text_at : end;
	p->found.octets = sdk_octets_total(&p->octets);
	p->found.stored = p->octets.stored;
	memcpy(p->found.hash, sum, MBOX_HASH);
	p->found.internal = p->marks == MARKS;
	if (!p->message(p->ctx, &p->found))
		p->failed = true;
}

/* Begins a message with this From_ line, at `at`. */
static void
parse_begin(struct mbox_parse *p, const char *line, size_t n, uint64_t at)
{
	size_t bare = without_end(line, n);

	/* an empty line before it separates */
	p->junk += p->inside ? 0 : p->blank_n;
	parse_finish(p, p->blank_n > 0 ? p->blank_at : at);
	p->blank_n = 0;
	p->inside = p->in_header = true;
	p->unhashed = false;
	p->marks = 0;
	p->said = UINT64_MAX;
	p->crlf = p->crlf || (n > 1 && line[n - 2] == '\r');
	p->found = (struct mbox_found){
		.from = at, .body = at + n, .received_ms = parse_from_date(line, bare)};
	p->quote = (struct mbox_quote){.how = p->how};
	sdk_octets_init(&p->octets);
	if (EVP_DigestInit_ex(p->md, EVP_sha256(), NULL) != 1 ||
	    EVP_DigestUpdate(p->md, line, bare) != 1)
		p->failed = true;
}

/* Takes an empty line that was held back as content after all. */
static void
blank_was_content(struct mbox_parse *p)
{
	parse_content(p, p->blank, p->blank_n);
	p->blank_n = 0;
}

/* Looks whether this is a header line that readers rewrite, or that tells an internal message. */
static void
look_at_header(struct mbox_parse *p)
{
	if (p->in_header && p->head[0] != ' ' && p->head[0] != '\t')
		p->unhashed = is_rewritten(p->head, p->head_n);
	if (p->in_header)
		p->marks |= internal_mark(p->head, p->head_n);
	if (p->in_header && p->unhashed && p->said == UINT64_MAX)
		p->said = said_length(p->head, p->head_n);
}

/* Decides about a line that may be a From_ line, by the line that follows. */
static void
parse_settle(struct mbox_parse *p)
{
	if (p->maybe_n == 0)
		return;
	if (from_field(p->head, p->head_n)) {
		parse_begin(p, p->maybe, p->maybe_n, p->maybe_at);
	} else {
		blank_was_content(p);
		parse_content(p, p->maybe, p->maybe_n);
		p->text = p->text || !p->inside;
	}
	p->maybe_n = 0;
}

/* Takes an empty line: the end of a header, or what separates messages. */
static void
parse_blank(struct mbox_parse *p)
{
	blank_was_content(p);
	if (p->in_header)
		p->text_at = p->at;
	p->in_header = p->unhashed = false;
	memcpy(p->blank, p->head, p->head_n);
	p->blank_n = p->head_n;
	p->blank_at = p->line_at;
}

/* Decides about a line: its head is complete, or as long as it is looked at. */
static void
parse_decide(struct mbox_parse *p)
{
	bool whole = p->head_n > 0 && p->head[p->head_n - 1] == '\n';
	size_t n = without_end(p->head, p->head_n);
	enum from_kind kind = whole ? from_kind(p->head, n) : FROM_NOT;

	parse_settle(p);
	if (p->may_begin && kind == FROM_LINE) {
		parse_begin(p, p->head, p->head_n, p->line_at);
	} else if (p->may_begin && kind == FROM_MAYBE) {
		memcpy(p->maybe, p->head, p->head_n);
		p->maybe_n = p->head_n;
		p->maybe_at = p->line_at;
	} else if (whole && n == 0) {
		parse_blank(p);
	} else {
		blank_was_content(p);
		look_at_header(p);
		parse_content(p, p->head, p->head_n);
		p->text = p->text || !p->inside;
		p->unseparated += kind == FROM_LINE && p->inside;
	}
	p->may_begin = whole && n == 0;
	p->mid = !whole;
	p->head_n = 0;
	p->line_at = p->at;
}

bool
parse_init(struct mbox_parse *p, uint64_t at)
{
	p->at = p->line_at = at;
	p->head_n = p->blank_n = p->maybe_n = 0;
	p->mid = p->inside = p->failed = p->in_header = p->unhashed = false;
	p->may_begin = true;
	p->junk = p->nuls = p->lies = p->unseparated = 0;
	p->crlf = p->cut = p->text = false;
	p->md = EVP_MD_CTX_new();
	return p->md != NULL;
}

bool
parse_feed(struct mbox_parse *p, const char *buf, size_t n)
{
	const char *end = buf + n;

	p->nuls += count_nuls(buf, n);
	while (buf < end && !p->failed) {
		const char *lf = memchr(buf, '\n', (size_t)(end - buf));
		size_t k = lf ? (size_t)(lf - buf) + 1 : (size_t)(end - buf);

		if (p->mid) {
			parse_content(p, buf, k);
			p->mid = !lf;
			p->at += k;
			p->line_at = p->at;
		} else {
			size_t room = MBOX_HEAD - p->head_n;

			k = k < room ? k : room;
			memcpy(p->head + p->head_n, buf, k);
			p->head_n += k;
			p->at += k;
			if (p->head_n == MBOX_HEAD || p->head[p->head_n - 1] == '\n')
				parse_decide(p);
		}
		buf += k;
	}
	return !p->failed;
}

bool
parse_end(struct mbox_parse *p)
{
	p->cut = p->mid || p->head_n > 0;
	parse_settle(p);
	if (!p->mid && p->head_n > 0) {
		blank_was_content(p);
		look_at_header(p);
		parse_content(p, p->head, p->head_n);
		p->text = p->text || !p->inside;
	}
	p->junk += p->inside ? 0 : p->blank_n;
	parse_finish(p, p->blank_n > 0 ? p->blank_at : p->at);
	return !p->failed;
}

void
parse_free(struct mbox_parse *p)
{
	EVP_MD_CTX_free(p->md);
	p->md = NULL;
}

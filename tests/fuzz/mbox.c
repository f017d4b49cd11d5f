/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mbox scanner against a slow model that sees the whole text; bit 0 of the first byte: mboxrd
 * or as it is. However the text is cut, messages, sizes and hashes are the model's; quoting and
 * unquoting restore the text; and a scan that begins at the last message finds the same there as
 * the whole scan.
 */
#include "../../backends/storage/mbox/from_kind.c"
#include "../../backends/storage/mbox/parse.c"

#include "fuzz.h"

#define FOUND_MAX 4096

struct finds {
	struct mbox_found of[FOUND_MAX];
	size_t n;
	uint64_t junk;
};

static bool
keep(void *ctx, const struct mbox_found *f)
{
	struct finds *all = ctx;

	if (all->n < FOUND_MAX)
		all->of[all->n++] = *f;
	return true;
}

static void
scan(struct finds *ret, const uint8_t *p, size_t n, uint64_t at, enum mbox_quoting how,
     enum fuzz_cut cut)
{
	struct mbox_parse s = {.how = how, .message = keep, .ctx = ret};

	ret->n = 0;
	MUST(parse_init(&s, at));
	for (size_t k = 0; k < n;) {
		size_t piece = fuzz_piece(cut, p + k, n - k);
		char *copy = fuzz_copy(p + k, piece);

		MUST(parse_feed(&s, copy, piece));
		free(copy);
		k += piece;
	}
	MUST(parse_end(&s));
	ret->junk = s.junk;
	parse_free(&s);
}

/* ---- the model ------------------------------------------------------------------------------- */

struct line {
	const char *p;
	size_t n; /* with its end */
};

static size_t
bare(struct line l)
{
	size_t n = l.n;

	n -= n > 0 && l.p[n - 1] == '\n';
	n -= n > 0 && l.p[n - 1] == '\r';
	return n;
}

static bool
ended(struct line l)
{
	return l.n > 0 && l.p[l.n - 1] == '\n';
}

/* Lines as the scanner has to see them; lines longer than it looks at do not matter. */
static size_t
lines_of(const char *p, size_t n, struct line **ret)
{
	size_t k = 0;

	*ret = fuzz_alloc((n + 1) * sizeof(**ret));
	for (const char *end = p + n; p < end;) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		size_t len = lf ? (size_t)(lf - p) + 1 : (size_t)(end - p);

		(*ret)[k++] = (struct line){p, len};
		p += len;
	}
	return k;
}

static bool
begins(const struct line *l, size_t k, size_t lines)
{
	bool blank = k == 0 || (ended(l[k - 1]) && bare(l[k - 1]) == 0);
	enum from_kind kind = FROM_NOT;

	if (blank && ended(l[k]) && l[k].n <= MBOX_HEAD)
		kind = from_kind(l[k].p, bare(l[k]));
	return kind == FROM_LINE ||
	       (kind == FROM_MAYBE && k + 1 < lines &&
		from_field(l[k + 1].p, l[k + 1].n < MBOX_HEAD ? l[k + 1].n : MBOX_HEAD));
}

static size_t
unquoted(struct line l, enum mbox_quoting how, const char **ret)
{
	size_t gt = 0;

	while (gt < l.n && gt < GT_MAX && l.p[gt] == '>')
		gt++;
	*ret = l.p;
	if (how != MBOX_UNQUOTE_RD || gt == 0 || l.n - gt < 5 || memcmp(l.p + gt, "From ", 5) != 0)
		return l.n;
	*ret = l.p + 1;
	return l.n - 1;
}

/* One message: its lines from the From_ line to before the next one. */
static void
check_one(const struct mbox_found *f, const struct line *l, size_t from, size_t to,
	  const char *base, enum mbox_quoting how)
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	struct fuzz_text text = {0};
	bool header = true, skip = false;
	unsigned marks = 0;
	uint64_t octets = 0, after_header = f->end;

	MUST(md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
	     EVP_DigestUpdate(md, l[from].p, bare(l[from])) == 1);
	MUST(f->from == (uint64_t)(l[from].p - base) && f->body == f->from + l[from].n);
	if (to > from + 1 && ended(l[to - 1]) && bare(l[to - 1]) == 0)
		to--; /* it separates */
	for (size_t k = from + 1; k < to; k++) {
		const char *p;
		size_t n = unquoted(l[k], how, &p);

		if (bare(l[k]) == 0 && ended(l[k])) {
			if (header)
				after_header = (uint64_t)(l[k].p - base) + l[k].n;
			header = skip = false;
		} else if (header && l[k].p[0] != ' ' && l[k].p[0] != '\t')
			skip = is_rewritten(l[k].p, l[k].n < MBOX_HEAD ? l[k].n : MBOX_HEAD);
		if (header)
			marks |= internal_mark(l[k].p, l[k].n < MBOX_HEAD ? l[k].n : MBOX_HEAD);
		if (!skip)
			MUST(EVP_DigestUpdate(md, p, n) == 1);
		fuzz_put(&text, p, n);
	}
	MUST(f->end == (to > from + 1 ? (uint64_t)(l[to - 1].p - base) + l[to - 1].n : f->body));
	MUST(EVP_DigestFinal_ex(md, sum, NULL) == 1 && memcmp(sum, f->hash, MBOX_HASH) == 0);
	for (size_t k = 0; k < text.n; k++)
		octets += 1 + (text.p[k] == '\n' && (k == 0 || text.p[k - 1] != '\r'));
	if (text.n > 0 && text.p[text.n - 1] != '\n')
		octets += 2;
	MUST(f->internal == (marks == MARKS));
	MUST(f->stored == text.n && f->octets == octets && f->text == after_header);
	EVP_MD_CTX_free(md);
	fuzz_text_free(&text);
}

static void
check_model(const struct finds *f, const char *p, size_t n, enum mbox_quoting how)
{
	struct line *l;
	size_t lines = lines_of(p, n, &l), from = lines, found = 0;
	uint64_t junk = 0;

	for (size_t k = 0; k < lines; k++) {
		if (begins(l, k, lines)) {
			if (from < lines && found < FOUND_MAX)
				check_one(&f->of[found++], l, from, k, p, how);
			from = k;
		} else if (from == lines) {
			junk += l[k].n;
		}
	}
	if (from < lines && found < FOUND_MAX)
		check_one(&f->of[found++], l, from, lines, p, how);
	MUST(found == f->n);
	MUST(f->junk == junk);
	free(l);
}

/* ---- quoting --------------------------------------------------------------------------------- */

static void
through(enum mbox_quoting how, const struct fuzz_text *in, struct fuzz_text *out, enum fuzz_cut cut)
{
	struct mbox_quote q = {.how = how};

	for (size_t k = 0; k < in->n;) {
		size_t n = fuzz_piece(cut, (const uint8_t *)in->p + k, in->n - k);
		char *piece = fuzz_copy(in->p + k, n),
		     *to = fuzz_alloc(n + n / 5 + MBOX_QUOTE_MORE);

		fuzz_put(out, to, parse_quote(&q, piece, n, to));
		free(piece);
		free(to);
		k += n;
	}
	{
		char *to = fuzz_alloc(MBOX_QUOTE_MORE);

		fuzz_put(out, to, parse_quote_end(&q, to));
		free(to);
	}
}

/* mboxrd restores the text, unless it begins with a drawing; and no From_ line is left
 * in it. */
static void
check_quoting(const uint8_t *p, size_t n)
{
	struct fuzz_text in = {0}, quoted = {0}, pieces = {0}, back = {0}, o = {0};
	char drawing[GT_MAX];

	memset(drawing, '>', sizeof(drawing));
	fuzz_put(&in, p, n);
	through(MBOX_QUOTE_RD, &in, &quoted, FUZZ_WHOLE);
	through(MBOX_QUOTE_RD, &in, &pieces, FUZZ_PIECES);
	through(MBOX_UNQUOTE_RD, &quoted, &back, FUZZ_BYTES);
	through(MBOX_QUOTE_O, &in, &o, FUZZ_PIECES);
	MUST(fuzz_same(&quoted, &pieces));
	MUST(memmem(p, n, drawing, sizeof(drawing)) || fuzz_same(&in, &back));
	for (size_t k = 0; k + 5 <= quoted.n; k++)
		MUST((k > 0 && quoted.p[k - 1] != '\n') || memcmp(quoted.p + k, "From ", 5) != 0);
	for (size_t k = 0; k + 5 <= o.n; k++)
		MUST((k > 0 && o.p[k - 1] != '\n') || memcmp(o.p + k, "From ", 5) != 0);
	fuzz_text_free(&in);
	fuzz_text_free(&quoted);
	fuzz_text_free(&pieces);
	fuzz_text_free(&back);
	fuzz_text_free(&o);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct finds whole, other;
	enum mbox_quoting how = n > 0 && data[0] & 1 ? MBOX_UNQUOTE_RD : MBOX_AS_IS;

	if (n == 0)
		return 0;
	data++;
	n--;
	scan(&whole, data, n, 0, how, FUZZ_WHOLE);
	check_model(&whole, (const char *)data, n, how);
	for (enum fuzz_cut cut = FUZZ_BYTES; cut < FUZZ_CUTS; cut++) {
		scan(&other, data, n, 0, how, cut);
		MUST(other.n == whole.n && other.junk == whole.junk);
		for (size_t k = 0; k < whole.n; k++)
			MUST(memcmp(&other.of[k], &whole.of[k], sizeof(other.of[k])) == 0);
	}
	if (whole.n > 0 && whole.n < FOUND_MAX) {
		const struct mbox_found *last = &whole.of[whole.n - 1];

		scan(&other, data + last->from, n - (size_t)last->from, last->from, how,
		     FUZZ_PIECES);
		MUST(other.n == 1 && memcmp(&other.of[0], last, sizeof(*last)) == 0);
	}
	check_quoting(data, n);
	return 0;
}

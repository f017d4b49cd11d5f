/* SPDX-License-Identifier: Apache-2.0 */
#include "rules.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fault.h"
#include "say.h"

#define BAD_CODE 4242
#define HANG_SLICE_MS 50

static const char *const fault_names[FN_COUNT] = {
	"verify",      "lookup",      "secret",     "domain",   "event",
	"mbox_open",   "mbox_info",   "msg_open",   "msg_read", "msg_fd",
	"msg_close",   "mbox_commit", "mbox_close", "box_list", "box_stat",
	"box_delete",  "box_place",   "dlv_begin",  "dlv_rcpt", "dlv_write",
	"dlv_prepare", "dlv_commit",  "dlv_abort",  "probe",    "tick",
};

static const struct {
	const char *name;
	int32_t rc;
} codes[] = {
	{"END", PM_END},         {"AGAIN", PM_AGAIN},
	{"DENIED", PM_DENIED},   {"NEXT", PM_NEXT},
	{"NOENT", PM_NOENT},     {"BUSY", PM_BUSY},
	{"TEMP", PM_TEMP},       {"TIMEOUT", PM_TIMEOUT},
	{"DOWN", PM_DOWN},       {"NOMEM", PM_NOMEM},
	{"NOSPACE", PM_NOSPACE}, {"CANCELLED", PM_CANCELLED},
	{"PERM", PM_PERM},       {"CORRUPT", PM_CORRUPT},
	{"INVALID", PM_INVALID}, {"UNSUPPORTED", PM_UNSUPPORTED},
	{"GONE", PM_GONE},       {"MOVED", PM_MOVED},
	{"PARTIAL", PM_PARTIAL}, {"UNKNOWN", PM_UNKNOWN},
	{"QUOTA", PM_QUOTA},     {"TOOBIG", PM_TOOBIG},
	{"EXISTS", PM_EXISTS},
};

/* ---- a line ---------------------------------------------------------------------------------- */

#define WORDS_MAX 6

struct words {
	char text[256];
	char *w[WORDS_MAX];
	size_t n;
};

static bool
rules_split(struct words *ws, const char *line)
{
	char *rest = ws->text, *word;

	ws->n = 0;
	if (strlen(line) >= sizeof(ws->text))
		return false;
	memcpy(ws->text, line, strlen(line) + 1);
	ws->text[strcspn(ws->text, "#\r\n")] = '\0';
	while ((word = strsep(&rest, " \t")) != NULL) {
		if (!*word)
			continue;
		if (ws->n == WORDS_MAX)
			return false;
		ws->w[ws->n++] = word;
	}
	return true;
}

/* Digits only, at most 15 of them. */
static bool
rules_number(const char *text, size_t n, uint64_t *ret)
{
	uint64_t v = 0;

	if (n == 0 || n > 15)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(text[i] - '0');
	}
	*ret = v;
	return true;
}

/* "3", "3+", "*". */
static bool
read_nth(const char *text, struct fault_rule *r)
{
	size_t n = strlen(text);

	r->first = 1;
	r->last = UINT64_MAX;
	if (strcmp(text, "*") == 0)
		return true;
	if (text[n - 1] == '+')
		return rules_number(text, n - 1, &r->first) && r->first > 0;
	if (!rules_number(text, n, &r->first) || r->first == 0)
		return false;
	r->last = r->first;
	return true;
}

static bool
read_code(const char *text, int32_t *ret)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (strcmp(codes[i].name, text) == 0) {
			*ret = codes[i].rc;
			return true;
		}
	}
	return false;
}

static bool
read_amount(const char *text, struct fault_rule *r)
{
	uint64_t v;

	if (!rules_number(text, strlen(text), &v))
		return false;
	r->amount = (int64_t)v;
	return true;
}

static bool
read_lie(const char *what, const char *text, struct fault_rule *r)
{
	if (strcmp(what, "octets") != 0 || (text[0] != '+' && text[0] != '-') ||
	    !read_amount(text + 1, r))
		return false;
	if (text[0] == '-')
		r->amount = -r->amount;
	return true;
}

static bool
read_effect(char *const *w, size_t n, struct fault_rule *r)
{
	static const struct {
		const char *name;
		size_t args;
		enum fault_effect effect;
	} effects[] = {
		{"error", 1, EFFECT_ERROR},       {"after", 2, EFFECT_AFTER},
		{"badcode", 0, EFFECT_BADCODE},   {"again", 1, EFFECT_AGAIN},
		{"sleep", 1, EFFECT_SLEEP},       {"hang", 0, EFFECT_HANG},
		{"short", 1, EFFECT_SHORT},       {"lie", 2, EFFECT_LIE},
		{"unreadable", 1, EFFECT_UNREAD},
	};
	size_t i = 0;

	while (i < sizeof(effects) / sizeof(effects[0]) && strcmp(effects[i].name, w[0]) != 0)
		i++;
	if (i == sizeof(effects) / sizeof(effects[0]) || n != effects[i].args + 1)
		return false;
	r->effect = effects[i].effect;
	switch (r->effect) {
	case EFFECT_ERROR:
		return read_code(w[1], &r->rc);
	case EFFECT_AFTER:
		return strcmp(w[1], "error") == 0 && read_code(w[2], &r->rc);
	case EFFECT_BADCODE:
		r->rc = BAD_CODE;
		return true;
	case EFFECT_AGAIN:
		r->rc = PM_AGAIN;
		if (!read_amount(w[1], r) || r->amount == 0)
			return false;
		r->last = r->first + (uint64_t)r->amount - 1;
		return true;
	case EFFECT_SLEEP:
		return read_amount(w[1], r);
	case EFFECT_HANG:
		return true;
	case EFFECT_SHORT:
		return r->fn == FN_MSG_READ && read_amount(w[1], r) && r->amount > 0;
	case EFFECT_LIE:
		return r->fn == FN_MBOX_INFO && read_lie(w[1], w[2], r);
	case EFFECT_UNREAD:
		return r->fn == FN_MBOX_INFO && read_amount(w[1], r) && r->amount > 0;
	}
	return false;
}

/* Functions that cannot fail can only be slow. */
static bool
rules_fits(const struct fault_rule *r)
{
	bool is_void = r->fn == FN_MSG_CLOSE || r->fn == FN_MBOX_CLOSE || r->fn == FN_DLV_ABORT;

	return !is_void || r->effect == EFFECT_SLEEP || r->effect == EFFECT_HANG;
}

bool
fault_rule_parse(const char *line, struct fault_rule *ret, bool *ret_empty, char *err,
		 size_t errlen)
{
	struct fault_rule r = {.fn = FN_COUNT};
	struct words ws;

	if (!rules_split(&ws, line)) {
		snprintf(err, errlen, "longer than a rule can be");
		return false;
	}
	*ret_empty = ws.n == 0;
	if (ws.n == 0)
		return true;
	for (int fn = 0; fn < FN_COUNT; fn++)
		if (strcmp(fault_names[fn], ws.w[0]) == 0)
			r.fn = (enum fault_fn)fn;
	if (r.fn == FN_COUNT) {
		snprintf(err, errlen, "'%s' is no function that can be disturbed", ws.w[0]);
		return false;
	}
	if (ws.n < 3 || !read_nth(ws.w[1], &r)) {
		snprintf(err, errlen, "expected: FUNCTION N|N+|* EFFECT");
		return false;
	}
	if (!read_effect(ws.w + 2, ws.n - 2, &r)) {
		snprintf(err, errlen,
			 "'%s': expected error CODE, after error CODE, badcode, again N, sleep MS, "
			 "hang, short N (msg_read), lie octets +N or unreadable N (mbox_info)",
			 ws.w[2]);
		return false;
	}
	if (!rules_fits(&r)) {
		snprintf(err, errlen, "%s cannot fail: only sleep and hang", ws.w[0]);
		return false;
	}
	*ret = r;
	return true;
}

/* ---- a call ---------------------------------------------------------------------------------- */

static void
sleep_ms(int64_t ms)
{
	struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	while (nanosleep(&left, &left) != 0)
		; /* a signal; the rest */
}

static void
rules_hang(const struct fault *f)
{
	while (!f->release || access(f->release, F_OK) != 0)
		sleep_ms(HANG_SLICE_MS);
}

static void
rules_apply(const struct fault *f, const struct fault_rule *r, struct fault_turn *t)
{
	switch (r->effect) {
	case EFFECT_SLEEP:
		sleep_ms(r->amount);
		break;
	case EFFECT_HANG:
		rules_hang(f);
		break;
	case EFFECT_SHORT:
		t->cap = (size_t)r->amount;
		break;
	case EFFECT_LIE:
		t->lie = r->amount;
		break;
	case EFFECT_UNREAD:
		t->unread = (uint64_t)r->amount;
		break;
	case EFFECT_AFTER:
		t->after = true;
		t->rc = r->rc;
		break;
	case EFFECT_ERROR:
	case EFFECT_BADCODE:
	case EFFECT_AGAIN:
		t->instead = true;
		t->rc = r->rc;
		break;
	}
}

bool
fault_begin(struct fault *f, enum fault_fn fn, const struct pm_call *call, struct fault_turn *t)
{
	/* relaxed: only the number matters, nothing is published by it */
	uint64_t nth = atomic_fetch_add_explicit(&f->calls[fn], 1, memory_order_relaxed) + 1;

	*t = (struct fault_turn){.cap = SIZE_MAX};
	for (size_t i = 0; i < f->n_rules; i++) {
		const struct fault_rule *r = &f->rules[i];

		if (r->fn == fn && r->first <= nth && nth <= r->last)
			rules_apply(f, r, t);
	}
	if (t->instead || t->after)
		sdk_error(call, "fault: %s, call %llu, answers %d by its script", fault_names[fn],
			  (unsigned long long)nth, t->rc);
	return t->instead;
}

int32_t
fault_end(const struct fault_turn *t, int32_t rc)
{
	return t->after ? t->rc : rc;
}

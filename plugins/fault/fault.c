/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault - a module in front of another one, which it disturbs by a script. It tests how the server
 * behaves when a store is slow, lies, hangs or breaks; so the server needs no hook for that.
 *
 *   storage mail      { module = maildir ... }
 *   storage disturbed { module = fault  wrap = mail  rule = msg_read 3 error TEMP }
 *
 * A rule is a line FUNCTION NTH EFFECT, given as `rule` or in the file `script`. NTH is the number
 * of the call (counted per instance and function, from 1), N+ means all from N on, * means all. All
 * rules that match a call apply, in their order. EFFECT:
 *
 *   error CODE         answer CODE (TEMP, DOWN, BUSY, ...) without doing anything
 *   after error CODE   do it, then answer CODE: the outcome was lost
 *   badcode            answer a code that does not exist
 *   again N            answer AGAIN N times, beginning with call NTH
 *   sleep MS           do it MS milliseconds later, whatever the deadline
 *   hang               do it when the file `release` exists; without that setting, never
 *   short N            msg_read: at most N bytes
 *   lie octets +N      mbox_info: sizes that are N too big; -N: too small
 *   unreadable N       mbox_info: message N of the mailbox (from 1) cannot be read
 *
 * The same file holds `fault_ascii`: the shim in front of a store that keeps no internationalized
 * mail (it lacks PM_F_CAN_UTF8). It is found by a link fault_ascii.so to this file.
 *
 * Functions that cannot fail (msg_close, mbox_close, dlv_abort) can only sleep and hang. A function
 * that the wrapped module lacks answers PM_UNSUPPORTED. With an empty script the shim must change
 * nothing: the conformance kit runs through it.
 */
#include "fault.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth.h"
#include "conf.h"
#include "deliver.h"
#include "say.h"
#include "store.h"

#define LINE_MAX_BYTES 512

/* ---- reading the script ---------------------------------------------------------------------- */

/* Collects rules, or, with f = NULL, only errors. */
struct reader {
	const struct pm_open *open;
	struct fault *f;
	bool failed;
};

static void
fault_take_line(struct reader *rd, const char *key, const char *where, unsigned line,
		const char *text)
{
	struct fault_rule r, *more;
	char err[256];
	bool empty;

	if (!fault_rule_parse(text, &r, &empty, err, sizeof(err))) {
		if (line > 0)
			sdk_report(rd->open, key, "%s:%u: %s", where, line, err);
		else
			sdk_report(rd->open, key, "'%s': %s", text, err);
		rd->failed = true;
		return;
	}
	if (empty || !rd->f)
		return;
	more = reallocarray(rd->f->rules, rd->f->n_rules + 1, sizeof(*more));
	if (!more) {
		sdk_report(rd->open, key, "no memory");
		rd->failed = true;
		return;
	}
	rd->f->rules = more;
	more[rd->f->n_rules++] = r;
}

static void
take_script(struct reader *rd, const char *path)
{
	char text[LINE_MAX_BYTES];
	FILE *file = fopen(path, "re");

	if (!file) {
		sdk_report(rd->open, "script", "'%s': %s", path, strerrordesc_np(errno));
		rd->failed = true;
		return;
	}
	for (unsigned line = 1; fgets(text, sizeof(text), file); line++)
		fault_take_line(rd, "script", path, line, text);
	if (ferror(file)) {
		sdk_report(rd->open, "script", "'%s' cannot be read", path);
		rd->failed = true;
	}
	(void)fclose(file); /* was only read */
}

static bool
fault_take_all(struct reader *rd)
{
	const struct pm_value *v;
	char *text;

	if (sdk_opt_str(rd->open, "script").n > 0) {
		text = sdk_strdup(sdk_opt_str(rd->open, "script"));
		if (!text)
			return false;
		take_script(rd, text);
		free(text);
	}
	for (uint32_t i = 0; (v = sdk_opt(rd->open, "rule", i)) != NULL; i++) {
		text = sdk_strdup(v->str);
		if (!text)
			return false;
		fault_take_line(rd, "rule", NULL, 0, text);
		free(text);
	}
	return !rd->failed;
}

/* ---- life ------------------------------------------------------------------------------------ */

static int32_t
fault_check(const struct pm_open *open)
{
	struct reader rd = {.open = open};

	return fault_take_all(&rd) ? PM_OK : PM_INVALID;
}

static void
fault_close(void *inst)
{
	struct fault *f = inst;

	free(f->rules);
	free(f->release);
	free(f);
}

static int32_t
fault_open(const struct pm_open *open, void **ret_inst)
{
	struct fault *f;
	struct reader rd = {.open = open};

	if (!open->inner) { /* check() cannot tell, since nothing is open yet */
		sdk_report(open, "",
			   "fault disturbs another section: say which one by wrap = NAME");
		return PM_INVALID;
	}
	f = calloc(1, sizeof(*f));
	if (!f)
		return PM_NOMEM;
	rd.f = f;
	f->host = open->host;
	f->inner = open->inner;
	f->inner_inst = open->inner_inst;
	if (sdk_opt_str(open, "release").n > 0) {
		f->release = sdk_strdup(sdk_opt_str(open, "release"));
		if (!f->release) {
			fault_close(f);
			return PM_NOMEM;
		}
	}
	if (!fault_take_all(&rd)) {
		fault_close(f);
		return PM_INVALID;
	}
	*ret_inst = f;
	return PM_OK;
}

static int32_t
fault_probe(void *inst, const struct pm_call *call)
{
	struct fault *f = inst;
	struct fault_turn t;

	if (fault_begin(f, FN_PROBE, call, &t))
		return t.rc;
	return fault_end(&t, f->inner->life->probe ? f->inner->life->probe(f->inner_inst, call)
						   : PM_OK);
}

/* The wrapped module's own rhythm, to a tenth of a second, since ours is constant. One tick at a
 * time. */
static int32_t
fault_tick(void *inst, const struct pm_call *call)
{
	struct fault *f = inst;
	const struct pm_life *inner = f->inner->life;
	bool has = inner->tick && inner->tick_ms > 0;
	int64_t now = f->host->now_ms(f->host->ctx);
	struct fault_turn t;
	int32_t rc;

	if (now - atomic_load(&f->ticked_ms) < (has ? inner->tick_ms : 1000))
		return PM_OK;
	if (fault_begin(f, FN_TICK, call, &t))
		return t.rc;
	rc = has ? inner->tick(f->inner_inst, call) : PM_OK;
	if (rc != PM_AGAIN)
		atomic_store(&f->ticked_ms, now);
	return fault_end(&t, rc);
}

static int32_t
fault_setup(void *inst, const struct pm_call *call, struct pm_str what)
{
	struct fault *f = inst;
	const struct pm_life *inner = f->inner->life;

	return inner->setup ? inner->setup(f->inner_inst, call, what) : PM_UNSUPPORTED;
}

/* ---- the descriptor -------------------------------------------------------------------------- */

static const struct pm_option options[] = {
	SDK_OPT("script", PM_OPT_PATH, 0, "", "",
		"file with one rule per line; # begins a comment"),
	SDK_OPT("rule", PM_OPT_STRING, PM_OPTF_LIST, "", "",
		"FUNCTION NTH EFFECT, as in the script"),
	SDK_OPT("release", PM_OPT_PATH, 0, "", "", "what hangs goes on when this file is there"),
};

static const struct pm_life life = {
	.size = sizeof(life),
	.tick_ms = 100,
	.check = fault_check,
	.open = fault_open,
	.close = fault_close,
	.probe = fault_probe,
	.tick = fault_tick,
	.setup = fault_setup,
};

/* all of them: the wrapped module refuses by itself what it cannot do */
#define FLAGS (PM_F_DRAFT | PM_F_MAY_BLOCK | PM_F_CAN_MARK | PM_F_CAN_HIDE | PM_F_CAN_IMPORT)

#define MODULE(module_name, module_flags) \
	{ \
		.size = sizeof(struct pm_module), .abi_major = PM_ABI_MAJOR, \
		.abi_minor = PM_ABI_MINOR, .flags = (module_flags), .name = SDK_STR(module_name), \
		.version = SDK_STR("1.0"), .licence = SDK_STR("Apache-2.0"), .options = options, \
		.n_options = sizeof(options) / sizeof(options[0]), \
		.option_stride = sizeof(options[0]), .life = &life, .auth = &fault_auth, \
		.storage = &fault_storage, .delivery = &fault_delivery, \
	}

static const struct pm_module modules[] = {
	MODULE("fault", FLAGS | PM_F_CAN_UTF8),
	MODULE("fault_ascii", FLAGS),
};

PM_EXPORT const struct pm_module *
pm_module_v1(uint32_t host_minor, uint32_t index)
{
	(void)host_minor;
	return index < sizeof(modules) / sizeof(modules[0]) ? &modules[index] : NULL;
}

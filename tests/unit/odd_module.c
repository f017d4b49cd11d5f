/* SPDX-License-Identifier: Apache-2.0 */
/* odd - a module that is wrong in whatever way load_test chooses. */
#include <stddef.h>
#include <string.h>

#include <restante/module.h>

#include "odd_module.h"

static enum odd odd;
static int initialised;

PM_EXPORT void
odd_choose(enum odd what)
{
	odd = what;
}

PM_EXPORT int
odd_initialised(void)
{
	return initialised;
}

static int32_t
odd_global_init(void)
{
	initialised++;
	return odd == ODD_INIT ? PM_TEMP : PM_OK;
}

/* Refuses section "refused", once with a reason and once without. */
static int32_t
odd_check(const struct pm_open *open)
{
	static const char key[] = "wait", text[] = "three\nis too many";

	if (odd == ODD_CHECK_MUTE)
		return PM_INVALID;
	if (odd == ODD_CHECK) {
		open->report->error(open->report, (struct pm_str){key, 4},
				    (struct pm_str){text, sizeof(text) - 1});
		return PM_INVALID;
	}
	return PM_OK;
}

/* The instance is a copy of the values as text, for the test to compare. */
static int32_t
odd_open(const struct pm_open *open, void **ret_inst)
{
	static char text[1000];
	size_t n = 0;

	if (odd == ODD_OPEN)
		return PM_NOMEM;
	for (uint32_t i = 0; i < open->n_options; i++) {
		const struct pm_value *v =
			(const struct pm_value *)(const void *)((const char *)open->options +
								(size_t)i * open->option_stride);
		char digits[24];
		size_t d = 0;
		int64_t num = v->num;

		memcpy(text + n, v->key.p, v->key.n);
		n += v->key.n;
		text[n++] = '=';
		memcpy(text + n, v->str.p, v->str.n);
		n += v->str.n;
		text[n++] = '/';
		do
			digits[d++] = (char)('0' + num % 10);
		while ((num /= 10) > 0);
		while (d > 0)
			text[n++] = digits[--d];
		text[n++] = ' ';
	}
	text[n] = '\0';
	*ret_inst = text;
	return PM_OK;
}

static int32_t
caps(void *inst, uint64_t *ret_kinds)
{
	(void)inst;
	*ret_kinds = 2;
	return PM_OK;
}

static int32_t
verify(void *inst, const struct pm_call *call, const struct pm_cred *cred, struct pm_user *ret_user)
{
	(void)inst;
	(void)call;
	(void)cred;
	(void)ret_user;
	return PM_NEXT;
}

static int32_t
event(void *inst, const struct pm_call *call, const struct pm_user *user, uint32_t what)
{
	(void)inst;
	(void)call;
	(void)user;
	(void)what;
	return PM_OK;
}

static int32_t
dlv_begin(void *inst, const struct pm_call *call, uint64_t hint, uint32_t flags, void **ret_dlv)
{
	(void)inst;
	(void)call;
	(void)hint;
	(void)flags;
	(void)ret_dlv;
	return PM_TEMP;
}

#define STR(s) \
	{ \
		(s), sizeof(s) - 1 \
	}
#define OPTION(k, t, f, u, d) \
	{ \
		sizeof(struct pm_option), t, f, 0, STR(k), STR(u), STR(d), STR("what it is for") \
	}

static const struct pm_option good_options[] = {
	OPTION("name", PM_OPT_STRING, PM_OPTF_REQUIRED, "", ""),
	OPTION("wait", PM_OPT_NUMBER, 0, "ms", "2s"),
	OPTION("room", PM_OPT_NUMBER, 0, "bytes", ""),
	OPTION("times", PM_OPT_NUMBER, 0, "", ""),
	OPTION("safe", PM_OPT_BOOL, 0, "", "yes"),
	OPTION("dir", PM_OPT_PATH, 0, "", ""),
	OPTION("colour", PM_OPT_CHOICE, 0, "red|green|blue", "green"),
	OPTION("also", PM_OPT_STRING, PM_OPTF_LIST, "", ""),
	OPTION("pin", PM_OPT_NUMBER, PM_OPTF_SECRET, "", ""),
	/* a default that is a part of a longer text: no NUL after it (R9) */
	{sizeof(struct pm_option),
	 PM_OPT_STRING,
	 0,
	 0,
	 STR("part"),
	 STR(""),
	 {"abcdef", 3},
	 STR("")},
};
static const struct pm_option bad_options[] = {OPTION("Name", PM_OPT_STRING, 0, "", "")};

static struct pm_life life;
static struct pm_auth auth;
static struct pm_delivery delivery;
static struct {
	struct pm_module m;
	char future[64]; /* fields a later minor would add */
} d;

PM_EXPORT const struct pm_module *
pm_module_v1(uint32_t host_minor, uint32_t index)
{
	(void)host_minor;
	if (index > 1)
		return NULL;
	life = (struct pm_life){.size = sizeof(life),
				.global_init = odd_global_init,
				.check = odd_check,
				.open = odd_open};
	auth = (struct pm_auth){.size = sizeof(auth),
				.caps = caps,
				.verify = verify,
				.lookup = verify,
				.event = event};
	delivery = (struct pm_delivery){.size = sizeof(delivery), .dlv_begin = dlv_begin};
	memset(&d, 0x5a, sizeof(d));
	d.m = (struct pm_module){
		.size = sizeof(d.m),
		.abi_major = PM_ABI_MAJOR,
		.abi_minor = PM_ABI_MINOR,
		.flags = PM_F_DRAFT,
		.name = STR("odd"),
		.version = STR("1"),
		.licence = STR("Apache-2.0"),
		.options = good_options,
		.n_options = sizeof(good_options) / sizeof(good_options[0]),
		.option_stride = sizeof(good_options[0]),
		.life = &life,
		.auth = &auth,
	};
	if (index == 1)
		d.m.name = (struct pm_str)STR("second");
	switch (odd) {
	case ODD_MAJOR:
		d.m.abi_major = 2;
		break;
	case ODD_MINOR:
		d.m.abi_minor = PM_ABI_MINOR + 7;
		break;
	case ODD_DRAFT:
		d.m.flags = 0;
		break;
	case ODD_NAME:
		d.m.name = (struct pm_str)STR("Odd-1");
		break;
	case ODD_SMALL:
		d.m.size = 8;
		break;
	case ODD_VERIFY:
		auth.verify = NULL;
		break;
	case ODD_LIFE:
		d.m.life = NULL;
		break;
	case ODD_NOTHING:
		d.m.auth = NULL;
		break;
	case ODD_DELIVERY:
		d.m.delivery = &delivery;
		break;
	case ODD_OPTION:
		d.m.options = bad_options;
		d.m.n_options = 1;
		break;
	case ODD_LARGE:
		d.m.size = sizeof(d);
		break;
	case ODD_SHORT_TABLE:
		auth.size = offsetof(struct pm_auth, event);
		break;
	default:
		break;
	}
	return &d.m;
}

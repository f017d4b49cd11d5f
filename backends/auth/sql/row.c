/* SPDX-License-Identifier: Apache-2.0 */
/* From rows to accounts. An unknown column is an error, not an oversight: 'enabld' would let people
 * in. A value that cannot be read, such as a word where a number belongs, is an error, too. NULL
 * means "as if the column were not there", except for yes or no, where it means no. */
#include "row.h"

#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "query.h"
#include "result.h"
#include "say.h"
#include "sql.h"

#define ATTRS_MAX 3
#define SECOND_MS 1000

struct filling {
	const struct inst *i;
	const struct pm_call *call;
	struct pm_user *u;
	struct pm_attr *attr;
	const char *option; /* for messages */
};

enum kind { TEXT, ATTR, RIGHT, FLAG, SIZE, DAYS, DATE, NOTHING };

/* The place of a value: an offset into struct pm_user, or a bit. */
struct column {
	const char *name;
	enum kind kind;
	size_t offset;
	uint32_t bit;
	size_t max;
};

#define OFF(field) offsetof(struct pm_user, field)

static const struct column user_columns[] = {
	{"password", NOTHING, 0, 0, 0},
	{"name", TEXT, OFF(name), 0, PM_NAME_MAX},
	{"key", TEXT, OFF(key), 0, PM_KEY_MAX},
	{"storage", TEXT, OFF(section), 0, 64},
	{"domain", TEXT, OFF(domain), 0, PM_NAME_MAX},
	{"home", ATTR, 0, 0, PM_PATH_MAX},
	{"uid", ATTR, 0, 0, 64},
	{"gid", ATTR, 0, 0, 64},
	{"enabled", FLAG, 0, PM_USER_DISABLED, 0},
	{"must_change", FLAG, 0, PM_USER_MUST_CHANGE, 0},
	{"may_pop3", RIGHT, 0, PM_RIGHT_POP3, 0},
	{"may_delete", RIGHT, 0, PM_RIGHT_DELETE, 0},
	{"may_deliver", RIGHT, 0, PM_RIGHT_DELIVER, 0},
	{"may_master", RIGHT, 0, PM_RIGHT_MASTER, 0},
	{"quota_octets", SIZE, OFF(quota_octets), 0, 0},
	{"quota_messages", SIZE, OFF(quota_msgs), 0, 0},
	{"domain_octets", SIZE, OFF(domain_octets), 0, 0},
	{"domain_messages", SIZE, OFF(domain_msgs), 0, 0},
	{"expire_days", DAYS, OFF(expire_days), 0, 0},
	{"undo_days", DAYS, OFF(undo_days), 0, 0},
	{"login_delay", DAYS, OFF(login_delay_s), 0, 0},
	{"last_login", DATE, OFF(last_login_ms), 0, 0},
	{"valid_until", DATE, OFF(valid_until_ms), 0, 0},
	{NULL, NOTHING, 0, 0, 0},
};

/* An app password takes rights away, never gives any: may_master is not its business. */
static const struct column password_columns[] = {
	{"password", NOTHING, 0, 0, 0},
	{"enabled", NOTHING, 0, 0, 0},
	{"id", TEXT, OFF(cred_id), 0, 255},
	{"label", TEXT, OFF(cred_label), 0, 255},
	{"may_pop3", RIGHT, 0, PM_RIGHT_POP3, 0},
	{"may_delete", RIGHT, 0, PM_RIGHT_DELETE, 0},
	{"may_deliver", RIGHT, 0, PM_RIGHT_DELIVER, 0},
	{"valid_until", DATE, OFF(valid_until_ms), 0, 0},
	{NULL, NOTHING, 0, 0, 0},
};

/* ---- values ---------------------------------------------------------------------------------- */

/* Yes or no, as databases write them; MySQL's BIT is one byte 0 or 1. */
static bool
row_truth(struct pm_str v, bool *ret)
{
	static const char *const yes[] = {"1", "t", "true", "y", "yes", "on", "\1"};
	static const char *const no[] = {"0", "f", "false", "n", "no", "off"};

	*ret = false;
	if (!v.p || (v.n == 1 && v.p[0] == '\0'))
		return true;
	for (size_t k = 0; k < sizeof(yes) / sizeof(yes[0]); k++)
		if (sdk_str_is(v, yes[k]))
			return *ret = true;
	for (size_t k = 0; k < sizeof(no) / sizeof(no[0]); k++)
		if (sdk_str_is(v, no[k]))
			return true;
	return false;
}

static bool
row_number(struct pm_str v, int64_t least, int64_t most, int64_t *ret)
{
	bool minus = v.n > 0 && v.p[0] == '-';
	int64_t n = 0;

	if (v.n == (size_t)minus || v.n > 19)
		return false;
	for (size_t k = minus; k < v.n; k++) {
		if (v.p[k] < '0' || v.p[k] > '9' || n > (INT64_MAX - 9) / 10)
			return false;
		n = n * 10 + (v.p[k] - '0');
	}
	*ret = minus ? -n : n;
	return *ret >= least && *ret <= most;
}

static bool
row_clean(struct pm_str v, size_t max)
{
	for (size_t k = 0; k < v.n; k++)
		if ((unsigned char)v.p[k] < 0x20 || v.p[k] == 0x7f)
			return false;
	return v.n <= max;
}

static int32_t
row_put_text(struct filling *f, const struct column *c, struct pm_str v)
{
	struct pm_str s = sdk_call_dup(f->call, v.p, v.n);

	if (!s.p)
		return PM_NOMEM;
	if (c->kind == TEXT) {
		memcpy((char *)f->u + c->offset, &s, sizeof(s));
		return PM_OK;
	}
	if (!f->attr && !(f->attr = f->call->alloc(f->call, ATTRS_MAX * sizeof(*f->attr))))
		return PM_NOMEM;
	f->attr[f->u->n_attr++] = (struct pm_attr){sdk_str(c->name), s};
	f->u->attr = f->attr;
	return PM_OK;
}

static int32_t
row_unreadable(struct filling *f, const struct column *c, const char *expected)
{
	/* not the value: it may be anything */
	sdk_error(f->call, "%s: column '%s': expected %s", f->option, c->name, expected);
	return PM_TEMP;
}

static int32_t
put_number(struct filling *f, const struct column *c, struct pm_str v)
{
	int64_t n;
	int32_t days;

	if (!row_number(v, c->kind == DAYS ? PM_EXPIRE_CLIENT : 0,
			c->kind == DAYS   ? INT32_MAX
			: c->kind == DATE ? INT64_MAX / SECOND_MS
					  : INT64_MAX,
			&n))
		return row_unreadable(f, c,
				      c->kind == DATE ? "seconds since 1970" : "a whole number");
	days = (int32_t)n;
	n = c->kind == DATE ? n * SECOND_MS : n;
	if (c->kind == DAYS)
		memcpy((char *)f->u + c->offset, &days, sizeof(days));
	else
		memcpy((char *)f->u + c->offset, &n, sizeof(n));
	return PM_OK;
}

static int32_t
put_truth(struct filling *f, const struct column *c, struct pm_str v)
{
	bool yes;

	if (!row_truth(v, &yes))
		return row_unreadable(f, c, "1 or 0");
	if (c->kind == RIGHT)
		f->u->rights = yes ? f->u->rights | c->bit : f->u->rights & ~c->bit;
	else if (yes == (c->bit == PM_USER_MUST_CHANGE) && f->u->state != PM_USER_DISABLED)
		f->u->state = c->bit; /* must_change = 1, enabled = 0; the latter wins */
	return PM_OK;
}

static int32_t
row_put(struct filling *f, const struct column *c, struct pm_str v)
{
	switch (c->kind) {
	case RIGHT:
	case FLAG:
		return put_truth(f, c, v);
	case TEXT:
	case ATTR:
		if (!v.p)
			return PM_OK;
		if (!row_clean(v, c->max))
			return row_unreadable(f, c, "a shorter text without control characters");
		return row_put_text(f, c, v);
	case SIZE:
	case DAYS:
	case DATE:
		return v.p ? put_number(f, c, v) : PM_OK;
	default:
		return PM_OK;
	}
}

/* ---- rows ------------------------------------------------------------------------------------ */

static int32_t
row_fill(struct filling *f, const struct column *columns, const struct sql_result *r, uint32_t row)
{
	for (uint32_t k = 0; k < r->n_cols; k++) {
		const struct column *c = columns;
		int32_t rc;

		while (c->name && !sdk_str_is(r->names[k], c->name))
			c++;
		if (!c->name) {
			sdk_error(f->call,
				  "%s: column '%.40s' is not known here; name it with AS, or leave "
				  "it out",
				  f->option, r->names[k].p);
			return PM_TEMP;
		}
		rc = row_put(f, c, r->cells[(size_t)row * r->n_cols + k]);
		if (rc != PM_OK)
			return rc;
	}
	return PM_OK;
}

static void
judge_date(const struct inst *i, struct pm_user *u)
{
	if (u->valid_until_ms > 0 && u->valid_until_ms <= i->host->wall_ms(i->host->ctx) &&
	    u->state != PM_USER_DISABLED)
		u->state = PM_USER_EXPIRED;
}

int32_t
row_user(const struct inst *i, const struct pm_call *call, const struct sql_result *r,
	 struct pm_user *u)
{
	struct pm_user mine = *u;
	struct filling f = {.i = i, .call = call, .u = &mine, .option = i->queries[Q_USER].option};
	int32_t rc;

	if (r->n_rows != 1) {
		sdk_error(call, "%s: %u rows for one name; it has to be unique", f.option,
			  r->n_rows);
		return PM_TEMP;
	}
	if (!result_get(r, 0, "name") || !result_get(r, 0, "password")) {
		sdk_error(call,
			  "%s: the columns 'name' and 'password' are needed; name them with AS",
			  f.option);
		return PM_TEMP;
	}
	rc = row_fill(&f, user_columns, r, 0);
	if (rc != PM_OK)
		return rc;
	if (mine.name.n == 0) {
		sdk_error(call, "%s: column 'name' is empty", f.option);
		return PM_TEMP;
	}
	judge_date(i, &mine);
	*u = mine;
	return PM_OK;
}

int32_t
row_password(const struct inst *i, const struct pm_call *call, const struct sql_result *r,
	     uint32_t row, struct pm_user *u)
{
	const struct pm_str *enabled = result_get(r, row, "enabled");
	struct pm_user mine = {.rights = PM_RIGHTS_DEFAULT};
	struct filling f = {
		.i = i, .call = call, .u = &mine, .option = i->queries[Q_PASSWORDS].option};
	bool yes = true;
	int32_t rc = row_fill(&f, password_columns, r, row);

	if (rc != PM_OK)
		return rc;
	if (enabled && !row_truth(*enabled, &yes)) {
		sdk_error(call, "%s: column 'enabled': expected 1 or 0", f.option);
		return PM_TEMP;
	}
	judge_date(i, &mine);
	if (!yes || mine.state == PM_USER_EXPIRED)
		return PM_DENIED;
	u->cred_id = mine.cred_id;
	u->cred_label = mine.cred_label;
	u->rights &= mine.rights | PM_RIGHT_MASTER;
	return PM_OK;
}

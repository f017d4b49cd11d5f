/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose mail is it by now? The name an item was kept for may have become an alias, or be known only
 * without its tag: it is a name from outside, as at RCPT (find.h). An alias is good only if all its
 * targets are mailboxes of ours, or it is a mailbox itself, which keeps a copy.
 */
#include "badmail/badmail_resolve.h"

#include <stdio.h>
#include <string.h>

#include "account/address.h"
#include "account/chain.h"
#include "badmail/badmail_item.h"

static int32_t
badmail_resolve_fail(struct badmail_resolve *r, int32_t rc, const char *text)
{
	snprintf(r->text, sizeof(r->text), "%s", text);
	return rc;
}

void
badmail_resolve_begin(struct badmail_resolve *r, struct conf *c, const char *name)
{
	find_begin(&r->find, c, "deliver", "", true, name);
}

/* ---- an alias -------------------------------------------------------------------------------- */

static int32_t
badmail_resolve_next_target(struct badmail_resolve *r, struct errand *e)
{
	char whole[PM_NAME_MAX + 1];
	const char *t = json_string_value(json_array_get(r->targets, r->at));

	if (!t && json_array_size(r->names) == 0)
		return badmail_resolve_fail(r, PM_NOENT, "the alias leads to no mailbox");
	if (!t)
		return PM_OK; /* that was the last one */
	r->at++;
	if (!chain_name(e->conf, t, strlen(t), whole))
		return badmail_resolve_fail(r, PM_INVALID,
					    "the alias leads to an impossible address");
	badmail_resolve_begin(r, e->conf, whole);
	r->find.target = true;
	return badmail_resolve_step(r, e);
}

static int32_t
badmail_resolve_alias(struct badmail_resolve *r, struct errand *e)
{
	const struct pm_user *u = &r->find.user;

	if (r->targets && r->keeps)
		return badmail_resolve_next_target(r, e);
	if (r->targets)
		return badmail_resolve_fail(r, PM_PERM,
					    "the alias leads to another alias, or to itself");
	if (u->n_targets > RECIPIENT_TARGETS_MAX)
		return badmail_resolve_fail(r, PM_PERM, "the alias has too many targets");
	r->keeps = find_keeps_copy(&r->find);
	r->targets = json_array();
	r->addresses = json_array();
	r->names = json_array();
	for (size_t i = 0; i < u->n_targets; i++)
		if (json_array_append_new(r->targets,
					  json_stringn(u->targets[i].p, u->targets[i].n)) != 0)
			return badmail_resolve_fail(r, PM_INVALID,
						    "the alias leads to an impossible address");
	return badmail_resolve_next_target(r, e);
}

/* ---- a mailbox ------------------------------------------------------------------------------- */

static int32_t
badmail_resolve_mailbox(struct badmail_resolve *r, struct errand *e)
{
	char quoted[ADDRESS_QUOTED_MAX + 1];

	if (!r->targets)
		return PM_OK;
	(void)address_quote(r->find.who.whole, strlen(r->find.who.whole), quoted);
	if (json_array_append_new(r->addresses, json_string(quoted)) != 0 ||
	    json_array_append_new(r->names, json_string(r->find.who.name)) != 0)
		return badmail_resolve_fail(r, PM_NOMEM, "out of memory");
	return badmail_resolve_next_target(r, e);
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* Nobody knows the name. */
static int32_t
badmail_resolve_unknown(struct badmail_resolve *r, struct errand *e)
{
	if (r->targets && r->keeps)
		return badmail_resolve_next_target(r, e);
	if (r->targets && !r->find.domain_ours)
		return badmail_resolve_fail(r, PM_NOENT, "the alias leads elsewhere");
	return badmail_resolve_fail(r, PM_NOENT,
				    r->targets ? "the alias leads to a mailbox that does not exist"
					       : "there is no such account");
}

int32_t
badmail_resolve_step(struct badmail_resolve *r, struct errand *e)
{
	int32_t rc = find_step(&r->find, &e->caller);

	switch (rc) {
	case PM_AGAIN:
		return rc;
	case PM_OK:
		rc = badmail_resolve_mailbox(r, e);
		break;
	case PM_MOVED:
		rc = badmail_resolve_alias(r, e);
		break;
	case PM_NOENT:
		return badmail_resolve_unknown(r, e);
	default:
		return badmail_resolve_fail(r, rc, r->find.text);
	}
	arena_reset(&e->arena);
	return rc;
}

bool
badmail_resolve_put(const struct badmail_resolve *r, json_t *item, size_t at)
{
	json_t *recipients = json_object_get(item, "recipients"),
	       *names = json_object_get(item, "names"), *name;
	size_t i;
	int bad = 0;

	if (!names) {
		names = json_copy(recipients); /* REFUSED: as they were given */
		bad |= json_object_set_new(item, "names", names);
	}
	bad |= json_array_remove(recipients, at) | json_array_remove(names, at);
	json_array_foreach(r->names, i, name)
	{
		const char *text = json_string_value(name);

		if (badmail_item_has(item, "names", text) ||
		    badmail_item_has(item, "delivered", text))
			continue;
		bad |= json_array_insert(recipients, at, json_array_get(r->addresses, i));
		bad |= json_array_insert(names, at++, name);
	}
	return !bad;
}

void
badmail_resolve_fini(struct badmail_resolve *r)
{
	json_decref(r->targets);
	json_decref(r->addresses);
	json_decref(r->names);
	memset(r, 0, sizeof(*r));
}

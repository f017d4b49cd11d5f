/* SPDX-License-Identifier: Apache-2.0 */
#include "account/recipient.h"

#include <string.h>
#include <strings.h>

#include "account/chain.h"
#include "base/log.h"

void
recipient_begin(struct recipient *w)
{
	memcpy(w->name, w->whole, sizeof(w->name));
	w->auth = 0;
	w->without_tag = w->postmaster = false;
	w->blind = NULL;
}

/* "ann+lists@example.org" -> "ann@example.org"; false: there is no tag. */
static bool
strip_tag(const char *delimiter, char *name)
{
	char *at = strrchr(name, '@'), *tag;
	size_t local = at ? (size_t)(at - name) : strlen(name), i = 1;

	while (i < local && !strchr(delimiter, name[i]))
		i++;
	if (i >= local)
		return false;
	tag = name + i;
	memmove(tag, name + local, strlen(name + local) + 1);
	return true;
}

/* Nobody knows w->name: what else could be meant? False: nothing. */
static bool
other_name(const struct conf *c, struct recipient *w)
{
	if (w->without_tag || !c->delivery.delimiter)
		return false;
	w->without_tag = true;
	memcpy(w->name, w->whole, sizeof(w->name));
	if (!strip_tag(c->delivery.delimiter, w->name))
		return false;
	w->auth = 0;
	return true;
}

int
recipient_next(const struct conf *c, struct recipient *w)
{
	do
		w->auth = chain_next(c, w->name, w->auth);
	while (w->auth < 0 && other_name(c, w));
	return w->auth;
}

static bool
is_postmaster(const char *name)
{
	return strncasecmp(name, "postmaster", 10) == 0 && (name[10] == '\0' || name[10] == '@');
}

bool
recipient_stand_in(const struct conf *c, struct recipient *w)
{
	const char *name = c->delivery.postmaster;

	if (!name || !is_postmaster(w->whole))
		return false;
	if (w->postmaster || !chain_name(c, name, strlen(name), w->name)) {
		log_msg(LOG_LVL_ERROR, "delivery", "postmaster = %s: there is no such account",
			name);
		return false;
	}
	w->postmaster = w->without_tag = true;
	w->auth = 0;
	return true;
}

const char *
recipient_lacks(const struct pm_user *u)
{
	if (u->state == PM_USER_DISABLED)
		return "this mailbox is disabled";
	if (u->state == PM_USER_EXPIRED)
		return "this mailbox has expired";
	return u->rights & PM_RIGHT_DELIVER ? NULL : "this mailbox takes no mail";
}

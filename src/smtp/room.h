/* SPDX-License-Identifier: Apache-2.0 */
/* room - volumes and quotas of one delivery, by mailbox/volume.h and mailbox/quota.h. */
#ifndef RST_SMTP_ROOM_H
#define RST_SMTP_ROOM_H

#include "mailbox/quota_domain.h"
#include "smtp/dsession.h"

/* For a target whose quota we count, or whose volume is looked at. In the envelope's arena. */
struct room {
	struct quota_limits limits;
	struct pm_stat before;
	bool asked; /* box_stat was begun */
	struct quota_hold hold;
	char text[QUOTA_TEXT_MAX];
};

/* MAIL: may mail come at all? False: *ret is the reply. */
bool room_at_door(struct dsession *s, uint64_t octets, struct dreply *ret);

/* RCPT: completes the user's limits. *ret is NULL if the store need not be asked. False: no
 * memory. */
bool room_wanted(struct dsession *s, const struct conf_section *storage, struct pm_user *u,
		 struct room **ret);
/* Do we count for this target? Then it has a dest of its own. */
bool room_is_counted(const struct room *r);
/* PM_OK; PM_AGAIN: the turn ends, and it is called again; otherwise *ret is the reply to RCPT. */
int32_t room_ask(struct dsession *s, const struct conf_section *storage, const struct pm_user *u,
		 struct room *r, struct dreply *ret);

/* All for one dest, under its permit. room_take: before it is prepared, with the real size; PM_OK,
 * PM_QUOTA, PM_TEMP. room_filled: after the commit; is a warning due to one of its targets?
 * room_give_back: it is given up. */
int32_t room_take(struct dsession *s, const struct dest *d);
void room_filled(struct dsession *s, const struct dest *d);
void room_give_back(struct dsession *s, const struct dest *d);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Imports: with a unique-id of their own, once; a deleted message comes back if it is restored, and
 * only then. */
#include <string.h>
#include <time.h>

#include "kit.h"

#define RECEIVED_MS 1600000000000
#define FIRST_MS 1600000001000

static const char text[] = "Subject: import\r\n\r\nx\r\n";

/* Up to dlv_prepare; PM_OK: the handle is the caller's. */
static int32_t
import_begin(struct inst *in, uint32_t flags, const char *uidl, struct pm_result *res,
	     void **ret_dlv)
{
	const struct pm_delivery *d = in->m->delivery;
	struct pm_user u = kit_user(0);
	struct pm_rcpt r = {.size = sizeof(r),
			    .user = &u,
			    .uidl = kit_str(uidl),
			    .order = 7,
			    .received_ms = RECEIVED_MS,
			    .first_retrieved_ms = FIRST_MS};
	void *dlv = NULL;
	int32_t rc;

	expect_rc("dlv_begin", d->dlv_begin(in->i, kit_pm(), 0, PM_DLVF_IMPORT | flags, &dlv),
		  PM_OK);
	rc = d->dlv_rcpt(dlv, kit_pm(), &r);
	if (rc == PM_OK) {
		expect_rc("dlv_write", d->dlv_write(dlv, kit_pm(), text, sizeof(text) - 1), PM_OK);
		while ((rc = d->dlv_prepare(dlv, kit_pm(), res, sizeof(*res))) == PM_AGAIN)
			;
		rc = rc == PM_OK ? res->rc : rc;
	}
	if (rc != PM_OK)
		d->dlv_abort(dlv, kit_pm());
	*ret_dlv = dlv;
	return rc;
}

static int32_t
import_one(struct inst *in, uint32_t flags, const char *uidl)
{
	struct pm_result res = {.size = sizeof(res)};
	void *dlv;
	int32_t rc = import_begin(in, flags, uidl, &res, &dlv);

	if (rc != PM_OK)
		return rc;
	while ((rc = in->m->delivery->dlv_commit(dlv, kit_pm(), &res, sizeof(res))) == PM_AGAIN)
		;
	return rc != PM_OK ? rc : res.rc;
}

/* It is the only message, and as it was imported. */
static void
expect_import(struct inst *in, const char *uidl, const char *when)
{
	struct box b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	struct pm_msg m;

	EXPECT(b.n == 1, "%llu messages instead of 1 %s", (unsigned long long)b.n, when);
	m = box_one(&b, 0, PM_WANT_UIDL | PM_WANT_DATES);
	EXPECT(m.uidl_len == strlen(uidl) && memcmp(m.uidl, uidl, m.uidl_len) == 0,
	       "the unique-id became %.*s %s", (int)m.uidl_len, m.uidl, when);
	EXPECT(m.received_ms / 1000 == RECEIVED_MS / 1000, "received_ms became %lld %s",
	       (long long)m.received_ms, when);
	EXPECT(!(in->m->flags & PM_F_CAN_MARK) || m.first_retrieved_ms / 1000 == FIRST_MS / 1000,
	       "first_retrieved_ms became %lld %s", (long long)m.first_retrieved_ms, when);
	box_close(&b);
}

static void
expect_none(struct inst *in, const char *when)
{
	struct box b = box_open(in, 0, PM_OPEN_EXCLUSIVE);

	EXPECT(b.n == 0, "%llu messages instead of none %s", (unsigned long long)b.n, when);
	box_close(&b);
}

/* The only message: deleted, or hidden until then. */
static void
take_away(struct inst *in, int64_t keep_until_ms)
{
	static const uint8_t del[1] = {1};
	struct box b = box_open(in, 0, PM_OPEN_EXCLUSIVE);

	expect_rc("mbox_commit", box_commit(&b, del, NULL, NULL, keep_until_ms), PM_OK);
	box_close(&b);
	expect_none(in, "after it was taken away");
}

static void
import_once(void)
{
	static const char uidl[] =
		"!dovecot-0000~id.with_70_octets}345678901234567890123456789012345678|";
	struct inst *in = kit_open();

	kit_empty(in, 0);
	expect_rc("an import", import_one(in, 0, uidl), PM_OK);
	expect_rc("the same import again", import_one(in, 0, uidl), PM_EXISTS);
	expect_import(in, uidl, "after two imports");
	expect_rc("and once more, seen by a session", import_one(in, 0, uidl), PM_EXISTS);
	expect_import(in, uidl, "after three");
	kit_empty(in, 0);
	kit_close(in);
}

/* After a cut connection the client does not know how far it came. */
static void
import_cut(void)
{
	static const char uidl[] = "import-cut";
	struct inst *in = kit_open();
	struct pm_result res = {.size = sizeof(res)};
	void *dlv;

	kit_empty(in, 0);
	expect_rc("an import, prepared", import_begin(in, 0, uidl, &res, &dlv), PM_OK);
	in->m->delivery->dlv_abort(dlv, kit_pm());
	expect_none(in, "after an import that was given up");
	expect_rc("its repetition", import_one(in, 0, uidl), PM_OK);
	expect_import(in, uidl, "after the repetition");
	kit_empty(in, 0);
	kit_close(in);
}

static void
import_deleted(void)
{
	static const char uidl[] = "import-deleted";
	struct inst *in = kit_open();

	kit_empty(in, 0);
	expect_rc("an import", import_one(in, 0, uidl), PM_OK);
	take_away(in, 0);
	for (unsigned k = 0; k < 2; k++)
		expect_rc("the import of what was deleted", import_one(in, 0, uidl), PM_EXISTS);
	expect_none(in, "after the import of what was deleted");
	kit_close(in);
}

static void
import_restored(void)
{
	static const char uidl[] = "import-restored";
	struct inst *in = kit_open();

	kit_empty(in, 0);
	expect_rc("a restore of what never was", import_one(in, PM_DLVF_RESTORE, uidl), PM_OK);
	expect_import(in, uidl, "after a restore");
	for (unsigned k = 0; k < 3; k++) {
		expect_rc("a restore of what is here", import_one(in, PM_DLVF_RESTORE, uidl),
			  PM_EXISTS);
		take_away(in, 0);
		expect_rc("a restore of what was deleted", import_one(in, PM_DLVF_RESTORE, uidl),
			  PM_OK);
		expect_rc("an import of what was restored", import_one(in, 0, uidl), PM_EXISTS);
		expect_import(in, uidl, "after it was restored");
	}
	take_away(in, 0);
	expect_rc("an import of what was deleted once more", import_one(in, 0, uidl), PM_EXISTS);
	expect_none(in, "in the end");
	kit_close(in);
}

/* A message that came in the ordinary way has its unique-id from the store. */
static void
import_delivered(void)
{
	struct inst *in = kit_open();
	char uidl[PM_UIDL_MAX + 1] = "";
	struct pm_msg m;
	struct box b;

	kit_empty(in, 0);
	kit_deliver_text(in, 0, text);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	m = box_one(&b, 0, PM_WANT_UIDL);
	memcpy(uidl, m.uidl, m.uidl_len);
	box_close(&b);
	expect_rc("a restore of what is here", import_one(in, PM_DLVF_RESTORE, uidl), PM_EXISTS);
	take_away(in, 0);
	expect_rc("a restore of what was deleted", import_one(in, PM_DLVF_RESTORE, uidl), PM_OK);
	expect_import(in, uidl, "after it was restored");
	kit_empty(in, 0);
	kit_close(in);
}

static void
import_hidden(void)
{
	static const char uidl[] = "import-hidden";
	struct inst *in = kit_open();

	kit_empty(in, 0);
	expect_rc("an import", import_one(in, 0, uidl), PM_OK);
	take_away(in, ((int64_t)time(NULL) + 86400) * 1000);
	expect_rc("an import of what is hidden", import_one(in, 0, uidl), PM_EXISTS);
	expect_rc("a restore of what is hidden", import_one(in, PM_DLVF_RESTORE, uidl), PM_EXISTS);
	expect_none(in, "while it is hidden");
	kit_empty(in, 0);
	kit_close(in);
}

#define NEEDS (NEED_DELIVERY | NEED_IMPORT)

const struct check checks_import[] = {
	{"import.once", "PM_DLVF_IMPORT", "keeps unique-id and dates; a second time PM_EXISTS",
	 NEEDS, import_once},
	{"import.cut", "PM_DLVF_IMPORT",
	 "an import that was given up is unknown: its repetition delivers", NEEDS, import_cut},
	{"import.deleted", "PM_DLVF_IMPORT", "a deleted message is known, and does not come again",
	 NEEDS, import_deleted},
	{"import.restored", "PM_DLVF_RESTORE",
	 "a deleted message comes back as it was; one that is here does not come twice", NEEDS,
	 import_restored},
	{"import.delivered", "PM_DLVF_RESTORE",
	 "also a delivered message, under the unique-id the store chose", NEEDS, import_delivered},
	{"import.hidden", "PM_DLVF_RESTORE", "a hidden message is here", NEEDS | NEED_HIDE,
	 import_hidden},
	{0},
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Where the maildir module looks for a user's mail, and where no user name can make it look. */
#include "maildir_rig.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
settings_that_make_no_sense(void **state)
{
	static const struct {
		const char *path, *why;
	} cases[] = {
		{"/var/mail", "/var/mail: every user would share it; use %u, %n, %d, %k or %h"},
		{"/var/mail/%x", "/var/mail/%x: %x is unknown; there are %u %n %d %k %h"},
		{"/var/%d/%l", "/var/%d/%l: %l is unknown; there are %u %n %d %k %h"},
		{"/var/mail/%h", "/var/mail/%h: %h must stand first"},
		{"/var/mail/%%u", "/var/mail/%%u: %% is unknown"},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(cases); k++) {
		assert_null(clocked_open("maildir", "path", cases[k].path, NULL));
		if (!strstr(rig_errors, cases[k].why))
			fail_msg("%s: %s", cases[k].path, rig_errors);
	}
	assert_null(clocked_open("maildir", NULL));
	assert_non_null(strstr(rig_errors, "path is missing"));
}

/* ---- templates ------------------------------------------------------------------------------- */

struct recipient {
	const char *name, *key, *home;
	size_t name_n, key_n; /* 0: up to the NUL */
};

static struct pm_user
user_of(const struct recipient *w, struct pm_attr *attr)
{
	struct pm_user u = user_named(w->name);

	if (w->name_n)
		u.name.n = w->name_n;
	if (w->key)
		u.key = (struct pm_str){w->key, w->key_n ? w->key_n : strlen(w->key)};
	if (w->home) {
		*attr = (struct pm_attr){{"home", 4}, {w->home, strlen(w->home)}};
		u.attr = attr;
		u.n_attr = 1;
	}
	return u;
}

/* The number of messages in this user's mailbox by that template; or a code below 0. */
static int64_t
count_at(const char *pattern, const struct recipient *w)
{
	struct host_inst *i = clocked_open("maildir", "path", pattern, NULL);
	struct pm_attr attr;
	struct pm_user u = user_of(w, &attr);
	void *mbox = NULL;
	uint64_t n = 0;
	int32_t rc;

	assert_non_null(i);
	rc = host_mbox_open(i, call, &u, PM_OPEN_EXCLUSIVE, &n, &mbox);
	if (rc == PM_OK)
		host_mbox_close(i, mbox, call);
	else
		assert_null(mbox);
	host_close(i);
	return rc == PM_OK ? (int64_t)n : rc;
}

static void
templates_and_names(void **state)
{
	static const struct {
		const char *template; /* appended to the mail directory */
		struct recipient who;
		bool there; /* ann's maildir with its one message; else one that is not there */
	} cases[] = {
		{"/%u", {.name = "ann"}, true},
		{"/%n", {.name = "ann@example.org"}, true},
		{"/%n", {.name = "ann"}, true},
		{"/%u", {.name = "ann@example.org"}, false},
		{"/%d", {.name = "x@ann"}, true},
		{"/%d", {.name = "x@y@ann"}, true},
		{"/%k", {.name = "x", .key = "ann"}, true},
		{"/a%n", {.name = "nn@x"}, true},
		{"/%na%d", {.name = "@x"}, false},
		{"/a%k%u", {.name = "n", .key = "n"}, true},
		/* the template itself is the administrator's */
		{"/ann/../%u", {.name = "ann"}, true},
		{"/%u", {.name = "Ann"}, false},
		{"/%u", {.name = "a nn"}, false},
		{"/%u", {.name = "ann\n"}, false},
		{"/%u", {.name = "%u"}, false},
		{"/%u", {.name = "~ann"}, false},
	};

	(void)state;
	mail_put("new/1.x", "x\n");
	for (size_t k = 0; k < COUNT(cases); k++) {
		char pattern[200];
		int64_t n;

		snprintf(pattern, sizeof(pattern), "%s%s", mail_path(".."), cases[k].template);
		n = count_at(pattern, &cases[k].who);
		if (cases[k].who.name[0] == '@')
			assert_int_equal(n, PM_PERM); /* has no local part */
		else if (n != cases[k].there)
			fail_msg("%s of %s: %ld %s", cases[k].template, cases[k].who.name, (long)n,
				 call->error);
	}
	assert_string_equal(mail_names(".."), "ann "); /* looking makes nothing */
}

static void
names_that_may_not_stand_in_a_path(void **state)
{
	static const struct {
		const char *template;
		struct recipient who;
	} cases[] = {
		{"/%u", {.name = ""}},
		{"/%u", {.name = "."}},
		{"/%u", {.name = ".."}},
		{"/%u", {.name = ".ann"}},
		{"/%u", {.name = "../mail/ann"}},
		{"/%u", {.name = "/etc"}},
		{"/%u", {.name = "x/../ann"}},
		{"/%u", {.name = "ann/"}},
		{"/%u", {.name = "ann\0x", .name_n = 5}},
		{"/%n", {.name = ".ann@x"}},
		{"/%n", {.name = "@x"}},
		{"/%n", {.name = "x/y@x"}},
		{"/%d", {.name = "ann"}},
		{"/%d", {.name = "ann@"}},
		{"/%d", {.name = "ann@.."}},
		{"/%d", {.name = "ann@.ann"}},
		{"/%d", {.name = "ann@x/../ann"}},
		{"/%d/%n", {.name = "ann@../mail"}},
		{"/%k", {.name = "ann", .key = ".."}},
		{"/%k", {.name = "ann", .key = "x/../ann"}},
		{"/%k", {.name = "ann", .key = "ann\0", .key_n = 4}},
	};

	(void)state;
	mail_put("new/1.x", "x\n");
	for (size_t k = 0; k < COUNT(cases); k++) {
		char pattern[200], why[60];

		snprintf(pattern, sizeof(pattern), "%s%s", mail_path(".."), cases[k].template);
		snprintf(why, sizeof(why), "has no %.2s that may stand in a path",
			 cases[k].template + 1);
		if (count_at(pattern, &cases[k].who) != PM_PERM)
			fail_msg("%s of '%s' was let through", cases[k].template,
				 cases[k].who.name);
		assert_non_null(strstr(call->error, "has no %"));
		if (strlen(cases[k].template) == 3)
			assert_non_null(strstr(call->error, why));
	}
}

static void
homes_are_whole_paths(void **state)
{
	char text[300];

	(void)state;
	mail_put("new/1.x", "x\n");
	assert_int_equal(
		count_at("%h", &(struct recipient){.name = "x", .home = mail_path("../ann")}), 1);
	mail_dir("../home");
	mail_move("../ann", "../home/Maildir");
	assert_int_equal(count_at("%h/Maildir",
				  &(struct recipient){.name = "x", .home = mail_path("../home")}),
			 1);
	snprintf(text, sizeof(text), "%s/", mail_path("../home"));
	assert_int_equal(count_at("%h/Maildir", &(struct recipient){.name = "x", .home = text}), 1);
	assert_int_equal(
		count_at("%h/Maildir", &(struct recipient){.name = "x", .home = "/nonexistent"}),
		0);
	assert_int_equal(count_at("%h/Maildir", &(struct recipient){.name = "x"}), PM_PERM);
	assert_int_equal(count_at("%h/Maildir", &(struct recipient){.name = "x", .home = ""}),
			 PM_PERM);
	assert_int_equal(count_at("%h/Maildir", &(struct recipient){.name = "x", .home = "home"}),
			 PM_PERM);
	assert_non_null(strstr(call->error, "this user has no %h that may stand in a path"));
}

static void
paths_have_an_end(void **state)
{
	static char pattern[4200];
	static char home[4096];

	(void)state;
	snprintf(pattern, sizeof(pattern), "%s/%%u%04090d", mail_path(".."), 0);
	assert_int_equal(count_at(pattern, &(struct recipient){.name = "ann"}), PM_PERM);
	snprintf(home, sizeof(home), "/%04090d", 0);
	assert_int_equal(count_at("%h/Maildir", &(struct recipient){.name = "ann", .home = home}),
			 PM_PERM);
	assert_non_null(strstr(call->error, "longer than 4,095 bytes for this user"));
	/* a name no file system takes */
	snprintf(pattern, sizeof(pattern), "%s/%%u%0300d", mail_path(".."), 0);
	assert_int_equal(count_at(pattern, &(struct recipient){.name = "ann"}), PM_PERM);
	assert_non_null(strstr(call->error, "cannot open or make the maildir"));
}

/* ---- the file at the path -------------------------------------------------------------------- */

static void
link_to(const char *target, const char *rel)
{
	assert_int_equal(symlink(target, mail_path(rel)), 0);
}

static void
symbolic_links_are_not_followed(void **state)
{
	char pattern[200];

	(void)state;
	mail_put("new/1.x", "x\n");
	link_to("ann", "../ben");
	link_to(".", "../here");
	snprintf(pattern, sizeof(pattern), "%s/%%u", mail_path(".."));
	assert_int_equal(count_at(pattern, &(struct recipient){.name = "ann"}), 1);
	assert_int_equal(count_at(pattern, &(struct recipient){.name = "ben"}), PM_PERM);
	assert_non_null(strstr(call->error, "cannot open or make the maildir '"));
	snprintf(pattern, sizeof(pattern), "%s/%%d/%%n", mail_path(".."));
	assert_int_equal(count_at(pattern, &(struct recipient){.name = "ann@here"}), PM_PERM);
	assert_int_equal(
		count_at("%h", &(struct recipient){.name = "x", .home = mail_path("../here/ann")}),
		PM_PERM);
	/* the fixed part is the administrator's */
	snprintf(pattern, sizeof(pattern), "%s/here/%%u", mail_path(".."));
	assert_int_equal(count_at(pattern, &(struct recipient){.name = "ann"}), 1);
	mail_move("new", "../elsewhere");
	link_to("../elsewhere", "new");
	snprintf(pattern, sizeof(pattern), "%s/%%u", mail_path(".."));
	assert_int_equal(count_at(pattern, &(struct recipient){.name = "ann"}), PM_PERM);
	assert_non_null(strstr(call->error, "cannot read new/"));
}

static void
no_maildir_at_all(void **state)
{
	struct pm_user u = user_named("ben");
	struct host_inst *i = MAIL_OPEN(NULL);
	struct pm_stat st;
	uint64_t n = 9;
	void *mbox = NULL;

	(void)state;
	assert_non_null(i);
	assert_int_equal(host_mbox_open(i, call, &u, PM_OPEN_EXCLUSIVE, &n, &mbox), PM_OK);
	assert_int_equal(n, 0);
	assert_int_equal(box_commit(i, mbox, 0, "", "", 1), PM_OK);
	host_mbox_close(i, mbox, call);
	assert_int_equal(host_box_stat(i, call, &u, &st), PM_NOENT);
	assert_false(mail_there("../ben"));
	mail_put("../ben", "a file");
	mbox = NULL;
	assert_int_equal(host_mbox_open(i, call, &u, PM_OPEN_EXCLUSIVE, &n, &mbox), PM_PERM);
	assert_int_equal(host_probe(i, call), PM_OK);
	mail_remove("..");
	assert_int_equal(host_probe(i, call), PM_DOWN);
	/* R11 */
	assert_int_equal(host_mbox_open(i, call, &u, PM_OPEN_EXCLUSIVE, &n, &mbox), PM_DOWN);
	assert_non_null(strstr(call->error, "is its volume mounted?"));
	host_close(i);
}

static void
half_a_maildir(void **state)
{
	struct host_inst *i = MAIL_OPEN(NULL);

	(void)state;
	mail_put("new/1.x", "x\n");
	mail_remove("cur");
	mail_remove("tmp");
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "1.x:3 ");
	assert_non_null(strstr(rig_log, ": there is no cur/; it is taken as empty"));
	assert_false(mail_there("cur"));
	mail_put("cur", "a file");
	{
		struct pm_user u = user_named("ann");
		void *mbox = NULL;
		uint64_t n;

		assert_int_equal(host_mbox_open(i, call, &u, PM_OPEN_READONLY, &n, &mbox), PM_PERM);
		assert_non_null(strstr(call->error, "cannot read cur/: Not a directory"));
		assert_null(mbox);
	}
	host_close(i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		MAIL(settings_that_make_no_sense),
		MAIL(templates_and_names),
		MAIL(names_that_may_not_stand_in_a_path),
		MAIL(homes_are_whole_paths),
		MAIL(paths_have_an_end),
		MAIL(symbolic_links_are_not_followed),
		MAIL(no_maildir_at_all),
		MAIL(half_a_maildir),
	};

	return cmocka_run_group_tests(tests, mail_begin, mail_end);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restante/module.h - the contract between restante and its modules.
 *
 * A module is a shared object with one exported function, pm_module_v1(). It checks passwords
 * (struct pm_auth), keeps mail (struct pm_storage, struct pm_delivery), or both. This file is all
 * that a module may include of restante; the static library restante-sdk is a convenience.
 *
 * State: DRAFT (abi 1.0). Modules set PM_F_DRAFT; the layout may still change until the six modules
 * of the project and delivery have used it. From then on 1.0 is frozen.
 *
 * RULES, each one a check of restante-conform; the numbers are cited by its output.
 *
 *  R1  Every struct begins with its size in bytes. Who fills a struct sets size. Who reads it uses
 *      only fields that lie inside. The host zeroes out-structs and sets their size before a call.
 *      Arrays come with a stride: record i begins at base + i * stride.
 *  R2  Structs grow at their end only, with a new abi_minor. A removal or a change of meaning is a
 *      new entry function, pm_module_v2.
 *  R3  Fixed-width integers, size_t and pointers only. No enum, bool, bit-field, atomic, variadic
 *      function or FILE at the border. Padding is written out.
 *  R4  Nobody frees what the other allocated. Results that outlive a call live in call->alloc().
 *      What is passed to a function is borrowed until it returns.
 *  R5  Out parameters stay untouched unless the result is PM_OK, with three exceptions: a handle in
 *      the making under PM_AGAIN, user->sasl_error under PM_DENIED, *ret_done under PM_PARTIAL.
 *  R6  The host calls one instance from up to open->permits threads at once, one handle from one
 *      thread at a time (not always the same), and never calls anything after close.
 *  R7  A call returns by call->deadline_ms + 500 ms. Long work goes in slices of at most 200 ms:
 *      PM_AGAIN means "progress made, call again with the same handle and arguments".
 *      Once a commit point is passed no deadline applies.
 *  R8  A module never calls setlocale, chdir, umask, fork, exit, signal or sigaction, never writes
 *      to stdout or stderr, and leaves no thread behind after close.
 *  R9  Strings are UTF-8 with a length, never NUL-dependent; p may be NULL when n is 0.
 *      Names are at most 320 bytes, mailbox keys 1024, paths 4095.
 *  R10 A result code the host does not know counts as PM_TEMP.
 *  R11 A failed backend is PM_DOWN, PM_TEMP or PM_TIMEOUT, never PM_DENIED or PM_NOENT.
 *  R12 Two instances of one module are independent: no mutable global state but what
 *      global_init sets up.
 *
 * MAIL AS BYTES
 *
 *  A message is stored as a sequence of octets. A line ends with LF or CRLF. A CR not followed by
 *  LF and a NUL are data. When the last line has no end, the host supplies one and it is counted.
 *  "octets" is the size on the wire: every line end counted as CRLF, before dot-stuffing, without
 *  the final "." line (RFC 1939 section 11). "stored bytes" is what msg_read delivers in all.
 *
 * THREADS
 *
 *  "M" many threads at once, any worker; "H" one call per handle at a time, any worker; "main" the
 *  main thread only. "B" may block until the deadline: the host holds one of the permits.
 */
#ifndef RESTANTE_MODULE_H
#define RESTANTE_MODULE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PM_ABI_MAJOR 1u
#define PM_ABI_MINOR 0u

/* Limits, in bytes. */
#define PM_NAME_MAX 320u   /* account names */
#define PM_KEY_MAX 1024u   /* mailbox keys */
#define PM_PATH_MAX 4095u  /* file names */
#define PM_UIDL_MAX 70u    /* RFC 1939 section 7 */
#define PM_ERROR_MAX 256u  /* call->error() */
#define PM_CURSOR_MAX 255u /* box_list() */
#define PM_PLACE_MAX 5119u /* box_place() */
#define PM_SLICE_MAX 1024u /* records per mbox_info() */

/* Result codes. */
#define PM_OK 0
#define PM_END 1        /* no more data */
#define PM_AGAIN 2      /* progress made, call again with the same handle and arguments */
#define PM_DENIED (-1)  /* wrong credential, or not allowed in: [AUTH] */
#define PM_NEXT (-2)    /* not my user: ask the next in the chain */
#define PM_NOENT (-3)   /* no such user or domain (lookup, secret, domain) */
#define PM_BUSY (-4)    /* somebody else holds, or took, the maildrop: [IN-USE] */
#define PM_TEMP (-5)    /* this object, now; nothing changed: [SYS/TEMP] */
#define PM_TIMEOUT (-6) /* the deadline came first */
#define PM_DOWN (-7)    /* the backend, not this object: counts for the breaker */
#define PM_NOMEM (-8)
#define PM_NOSPACE (-9)
#define PM_CANCELLED (-10) /* call->cancelled() said so */
#define PM_PERM (-11)      /* retrying is useless: [SYS/PERM] */
#define PM_CORRUPT (-12)
#define PM_INVALID (-13) /* the caller broke the contract */
#define PM_UNSUPPORTED (-14)
#define PM_GONE (-15)    /* the message vanished: -ERR, the session lives */
#define PM_MOVED (-16)   /* the mailbox lives elsewhere now: asked again once */
#define PM_PARTIAL (-17) /* committed, but not all cleaned up */
#define PM_UNKNOWN (-18) /* outcome not known */
#define PM_QUOTA (-19)   /* delivery: over quota */
#define PM_TOOBIG (-20)  /* delivery: message too large */
#define PM_EXISTS (-21)  /* import: this uidl is here, or was; see PM_DLVF_IMPORT */

/* A string: n bytes at p. */
struct pm_str {
	const char *p;
	size_t n;
};

/* ---- what a module may call ------------------------------------------------------------------ */

#define PM_LOG_ERROR 3 /* the numbers of syslog */
#define PM_LOG_WARNING 4
#define PM_LOG_NOTICE 5
#define PM_LOG_INFO 6
#define PM_LOG_DEBUG 7

/*
 * Services of the host. Valid from open() until close() returned; every function may be called by
 * any thread that is inside a call of the module, and does not block on anything remote.
 */
struct pm_host {
	uint32_t size;
	uint32_t abi_minor;            /* of the host */
	void *ctx;                     /* first argument of all functions below */
	int64_t (*now_ms)(void *ctx);  /* monotonic: the clock of deadlines */
	int64_t (*wall_ms)(void *ctx); /* UTC, milliseconds since 1970 */
	/* One line for the operator: what, where, which value, what to do. No secret, no line
	 * end. */
	void (*log)(void *ctx, int32_t level, struct pm_str text);
	/* Adds delta, not negative, to the counter `name` of this section: 1..47 of [a-z0-9_],
	 * 64 names at most. What does not keep to that is not counted. Shown by restantectl
	 * modules and metrics. */
	void (*count)(void *ctx, struct pm_str name, int64_t delta);
	/* Forget cached credentials of this user; empty name: of all. */
	void (*invalidate)(void *ctx, struct pm_str name);
	/* The disk under `path` is full: free the volume's reserve file. PM_OK at most once per
	 * filling. */
	int32_t (*reserve_release)(void *ctx, struct pm_str path);
	/* UTC: what was to be kept until then may be deleted. 0: nothing may be deleted because of
	 * its age now, since the host's clock is in doubt. NULL: wall_ms is all there is. */
	int64_t (*expire_ms)(void *ctx);
};

/* Where check() and open() put errors of the configuration. `key` may be empty. */
struct pm_report {
	uint32_t size;
	uint32_t pad;
	void *ctx;
	void (*error)(const struct pm_report *report, struct pm_str key, struct pm_str text);
};

/* ---- options --------------------------------------------------------------------------------- */

#define PM_OPT_STRING 1u
#define PM_OPT_NUMBER 2u /* decimal, with the unit's suffixes: see `unit` */
#define PM_OPT_BOOL 3u   /* yes, no; num is 1 or 0 */
#define PM_OPT_PATH 4u   /* absolute file name */
#define PM_OPT_CHOICE 5u /* one of the words in `unit`, separated by '|' */

#define PM_OPTF_REQUIRED 1u
#define PM_OPTF_SECRET 2u /* masked wherever it is shown */
#define PM_OPTF_LIST 4u   /* may be given several times; one pm_value each */

/* One setting a module understands. The host parses, checks, masks and documents it. */
struct pm_option {
	uint32_t size;
	uint32_t type;  /* PM_OPT_... */
	uint32_t flags; /* PM_OPTF_... */
	uint32_t pad;
	struct pm_str key;  /* [a-z][a-z0-9_]* */
	struct pm_str unit; /* NUMBER: "" "ms" "s" "bytes" ; CHOICE: "a|b|c" */
	struct pm_str dflt; /* text of the default; empty: none */
	struct pm_str doc;  /* one sentence, for `restantectl modules doc` */
};

/* One setting as given, or its default. Order: as in the schema, lists as in the file. */
struct pm_value {
	uint32_t size;
	uint32_t pad;
	int64_t num; /* NUMBER (in the unit), BOOL, CHOICE (index of the word) */
	struct pm_str key;
	struct pm_str str; /* the text, also of numbers */
};

#define PM_PURPOSE_SERVER 1u
#define PM_PURPOSE_TOOL 2u /* restante-conform, restantectl: short-lived, no background work */

/* Much depends on domain(): check() reports settings with which it would answer PM_UNSUPPORTED. */
#define PM_OPENF_DOMAINS 1u
/* Mail is to come in for these users: check() reports settings with which lookup() would answer
 * PM_UNSUPPORTED. */
#define PM_OPENF_LOOKUPS 2u
/* Accounts of other sections have their mail in the same storage section, or their deleted mail in
 * the same undo_storage: check() warns of settings that could give two accounts one key. */
#define PM_OPENF_SHARED 4u
/* And an account whose pm_user.name has no domain is refused by the host: check() reports settings
 * with which it knows that names have none. */
#define PM_OPENF_WHOLE_NAMES 8u
/* Names have several domains. Storage: check() reports settings with which accounts that differ in
 * that only share a mailbox. Auth: it warns of those with which one account has several names. */
#define PM_OPENF_MANY_DOMAINS 16u
/* Nothing says which domains names have here: check() warns of such settings, in a storage section,
 * too. */
#define PM_OPENF_ANY_DOMAIN 32u
/* Auth: names are asked for in lower case (ASCII), not only their domains. */
#define PM_OPENF_LOWER_NAMES 64u

/* The settings and surroundings of an instance. Valid during check() and open() only, except `host`
 * and everything it points to, which live until close() returned; a module copies anything else
 * that it keeps (R4). */
struct pm_open {
	uint32_t size;
	uint32_t permits; /* calls at once: make exactly this many connections */
	uint32_t purpose; /* PM_PURPOSE_... */
	uint32_t n_options;
	uint32_t option_stride;
	uint32_t flags; /* PM_OPENF_... */
	const struct pm_host *host;
	const struct pm_report *report;
	struct pm_str section;   /* name of the section in the configuration */
	struct pm_str state_dir; /* survives restarts; absolute */
	struct pm_str run_dir;   /* emptied at boot; absolute */
	const struct pm_value *options;
	const struct pm_module *inner; /* wrap = NAME: the wrapped module, or NULL ... */
	void *inner_inst;              /* ... and its open instance; one permit covers both */
	/* auth: the host appends it to a pm_user.name without an @, after an @; empty: nothing */
	struct pm_str name_domain;
};

/* ---- calls ----------------------------------------------------------------------------------- */

#define PM_CALLF_RECOUNT 1u /* box_stat, domain_stat: count anew, whatever is remembered */
/* tick: the first one after a reload that kept this instance: whatever waits for a while may be
 * tried again now, an administrator says. */
#define PM_CALLF_RELOADED 2u

/*
 * Handed to every call that may block. Borrowed until the call returns (R4).
 */
struct pm_call {
	uint32_t size;
	uint32_t flags;      /* PM_CALLF_... */
	int64_t deadline_ms; /* absolute, on host->now_ms */
	uint64_t session_id; /* for logs; 0: no session */
	void *ctx;           /* the host's */
	/* Memory that lives as long as the handle the call serves (verify, lookup, secret: as
	 * long as the session). NULL when there is no more. Never freed by the module. */
	void *(*alloc)(const struct pm_call *call, size_t n);
	/* Operator text for a failure, at most PM_ERROR_MAX bytes, no secret; never shown to
	 * clients. The last one counts. */
	void (*error)(const struct pm_call *call, struct pm_str text);
	/* Non-zero when nobody waits for the answer any more; asked in long loops. */
	int32_t (*cancelled)(const struct pm_call *call);
	/* Identity of a commit, delivery or import: the same id may be repeated (idempotent). */
	uint8_t op_id[16];
};

/* ---- accounts -------------------------------------------------------------------------------- */

#define PM_CRED_PASSWORD 1u  /* secret = the password */
#define PM_CRED_APOP 2u      /* challenge, digest = 32 hex digits */
#define PM_CRED_TOKEN 3u     /* secret = the bearer token */
#define PM_CRED_CERT 4u      /* cert_der, proved by the host */
#define PM_CRED_PRINCIPAL 5u /* authcid = a Kerberos principal, proved by the host */

#define PM_CREDF_TLS 1u /* the client's connection is encrypted */

/* A name and its credentials. Wiped by the host after the call. */
struct pm_cred {
	uint32_t size;
	uint32_t kind;  /* PM_CRED_... */
	uint32_t flags; /* PM_CREDF_... */
	uint32_t pad;
	struct pm_str service; /* "pop3", "lmtp", "smtp", "deliver", "ctl" */
	struct pm_str mech;    /* "USER", "APOP", "PLAIN", ... */
	struct pm_str authcid; /* the name, normalised by the host (default domain, case) */
	struct pm_str authzid; /* on whose behalf; empty: the same */
	struct pm_str secret;
	struct pm_str challenge;
	struct pm_str digest;
	struct pm_str cert_der;
	struct pm_str peer;  /* address of the client, text, no port; empty: none */
	struct pm_str local; /* address of the server, likewise */
};

#define PM_SECRET_SCRAM_SHA1 1u
#define PM_SECRET_SCRAM_SHA256 2u
#define PM_SECRET_PLAIN 4u /* for APOP and CRAM-MD5: off by default */

/* The answer of secret(). As an argument kinds tells which are asked for; as a result which one is
 * there. */
struct pm_secret {
	uint32_t size;
	uint32_t kinds; /* one of PM_SECRET_... */
	uint32_t iter;
	uint32_t pad;
	struct pm_str salt;       /* raw bytes */
	struct pm_str stored_key; /* raw bytes */
	struct pm_str server_key; /* raw bytes */
	struct pm_str plain;
};

/* Passed on from auth to storage and log: home, uid, gid, group, ... For the host: "entry", one and
 * the same for all the names that lead to one account of the section. */
struct pm_attr {
	struct pm_str key;
	struct pm_str value;
};

#define PM_USER_ENABLED 0u
#define PM_USER_DISABLED 1u
#define PM_USER_EXPIRED 2u
#define PM_USER_MUST_CHANGE 3u

#define PM_RIGHT_POP3 1u    /* may log in */
#define PM_RIGHT_DELETE 2u  /* may delete */
#define PM_RIGHT_DELIVER 4u /* receives mail */
#define PM_RIGHT_MASTER 8u  /* may act for others (authzid) */
#define PM_RIGHTS_DEFAULT (PM_RIGHT_POP3 | PM_RIGHT_DELETE | PM_RIGHT_DELIVER)

/* expire_days, undo_days, login_delay_s, cache_s: the site's setting */
#define PM_EXPIRE_SITE (-1)
#define PM_EXPIRE_CLIENT (-2) /* expire_days: the client decides */

/*
 * An account. The host hands it in zeroed but for size, rights (PM_RIGHTS_DEFAULT) and the four
 * "-1 = the site's" fields; a module sets what it knows. Strings from call->alloc().
 */
struct pm_user {
	uint32_t size;
	uint32_t state;  /* PM_USER_... */
	uint32_t rights; /* PM_RIGHT_... */
	uint32_t n_targets;
	uint32_t n_attr;
	int32_t expire_days;
	int32_t undo_days;
	int32_t login_delay_s;
	int32_t cache_s;
	int32_t pad;
	int64_t last_login_ms;  /* 0 = unknown */
	int64_t valid_until_ms; /* 0 = no end */
	uint64_t quota_octets;  /* 0 = none; likewise below */
	uint64_t quota_msgs;
	uint64_t domain_octets;
	uint64_t domain_msgs;
	/* canonical name; empty: as asked for. It should lead back: lookup() of it is this account.
	 * Where sections share a storage section, others are refused */
	struct pm_str name;
	struct pm_str key;     /* mailbox key; empty: the name */
	struct pm_str section; /* storage section; empty: the auth section's */
	struct pm_str domain;
	struct pm_str cred_id; /* app password */
	struct pm_str cred_label;
	struct pm_str sasl_error; /* OAuth's error document (R5) */
	/* alias: deliver there instead. With its own name among several it is a mailbox, too, which
	 * keeps a copy; a name without a mailbox is never its own target */
	const struct pm_str *targets;
	const struct pm_attr *attr;
};

#define PM_EVENT_LOGIN 1u
#define PM_EVENT_SESSION_END 2u

/* ---- mail ------------------------------------------------------------------------------------ */

#define PM_OPEN_EXCLUSIVE 1u /* session-long lock and snapshot; BUSY at once */
#define PM_OPEN_READONLY 2u  /* no lock; a snapshot all the same */
#define PM_OPEN_HIDDEN 4u    /* hidden messages too */
/* with READONLY and HIDDEN: also those whose time is over, if an EXCLUSIVE open would remove them
 * now; they have PM_MSG_OVER. A store that removes them by itself lists none. */
#define PM_OPEN_OVER 8u

#define PM_WANT_OCTETS 1u /* octets, stored_bytes */
#define PM_WANT_UIDL 2u   /* uidl, uidl_len */
#define PM_WANT_DATES 4u  /* received_ms, first_retrieved_ms, order */
#define PM_WANT_META 8u   /* meta, meta_len, flags */

#define PM_MSG_WIRE_CLEAN 1u  /* all lines end in CRLF, none begins with a dot, the last is ended */
#define PM_MSG_UTF8_HEADER 2u /* header holds UTF-8 (RFC 6532) */
#define PM_MSG_HIDDEN 4u
/* with OCTETS: cannot be read now; octets and stored_bytes are a guess */
#define PM_MSG_UNREADABLE 8u
#define PM_MSG_OVER 16u /* with META, of PM_OPEN_OVER: hidden, and its time is over */

/* One message of a snapshot. */
struct pm_msg {
	uint32_t size;
	uint32_t flags;  /* PM_MSG_... */
	uint64_t octets; /* on the wire; see MAIL AS BYTES */
	uint64_t stored_bytes;
	uint64_t order;             /* rank of arrival, for moves between stores */
	int64_t received_ms;        /* 0 = unknown */
	int64_t first_retrieved_ms; /* 0 = never */
	uint32_t uidl_len;          /* 1..PM_UIDL_MAX */
	uint32_t meta_len;
	char uidl[72];    /* 0x21..0x7E; no NUL needed */
	uint8_t meta[64]; /* a wrapper's: plain size, key id */
};

/* The changes that QUIT commits. Bit i of a map = byte i / 8, least significant bit first,
 * ceil(n/8) bytes. */
struct pm_commit {
	uint32_t size;
	uint32_t pad;
	uint64_t n;               /* messages in the snapshot */
	const uint8_t *del;       /* delete, or hide until keep_until_ms; NULL = none */
	const uint8_t *retrieved; /* mark as fetched; NULL = none */
	const uint8_t *restore;   /* unhide, as if it had never been retrieved; NULL = none */
	int64_t now_ms;           /* UTC */
	/* 0 = delete at once; else hidden, and the store's to remove from then on: it never
	 * becomes visible again by itself */
	int64_t keep_until_ms;
};

/* One mailbox of box_list(). */
struct pm_box {
	uint32_t size;
	uint32_t key_len;
	uint32_t cursor_len; /* to go on after this one */
	uint32_t pad;
	char key[PM_KEY_MAX];
	char cursor[256];
};

/* Totals of one mailbox. */
struct pm_stat {
	uint32_t size;
	uint32_t pad;
	uint64_t count;
	uint64_t octets;
	uint64_t hidden;
	uint64_t hidden_octets;
	int64_t last_delivery_ms; /* UTC; 0 = unknown */
};

/* One recipient of a delivery. */
struct pm_rcpt {
	uint32_t size;
	uint32_t flags;             /* 0 in 1.0 */
	const struct pm_user *user; /* as lookup() gave it */
	struct pm_str head;         /* bytes before the message, for this recipient only */
	struct pm_str uidl;         /* import: keep this unique-id; empty: choose one */
	struct pm_str meta;         /* a wrapper's, at most 64 bytes */
	uint64_t order;             /* import; 0 = now */
	int64_t received_ms;        /* import; 0 = now */
	int64_t first_retrieved_ms; /* import; 0 = never */
};

/* Outcome for one recipient, in the order of dlv_rcpt(). */
struct pm_result {
	uint32_t size;
	int32_t rc;        /* PM_OK QUOTA TOOBIG NOSPACE TEMP EXISTS ... */
	uint32_t uidl_len; /* after dlv_commit */
	uint32_t pad;
	char uidl[72];
};

/* ---- method tables --------------------------------------------------------------------------- */

/*
 * Life of a module and its instances. check and close may be NULL, like all marked "opt".
 */
struct pm_life {
	uint32_t size;
	uint32_t tick_ms; /* how often tick() is wanted; 0 = never */
	/* opt, main: once per process before anything else of this module. PM_OK or the module
	 * is not used. */
	int32_t (*global_init)(void);
	/* opt: on each worker, before its first and after its last call into this module. */
	void (*thread_begin)(void);
	void (*thread_end)(void);
	/* opt, main: reports every error of the section, one report each; no side effect, no
	 * network. PM_OK, or PM_INVALID after at least one report. */
	int32_t (*check)(const struct pm_open *open);
	/* main, once per instance: must not need the remote side (a server starts while its
	 * directory is down). Failure: any code, with a report that says why. */
	int32_t (*open)(const struct pm_open *open, void **ret_inst);
	/* main: after all calls and handles ended. Bounded; cannot fail. */
	void (*close)(void *inst);
	/* opt, main: the instance was replaced by a reload: close idle connections; open handles
	 * live on. */
	void (*retire)(void *inst);
	/* opt, B M: is the backend there? PM_OK, PM_DOWN or PM_TIMEOUT. */
	int32_t (*probe)(void *inst, const struct pm_call *call);
	/* opt, B, one at a time: background work in slices (R7). */
	int32_t (*tick)(void *inst, const struct pm_call *call);
	/* opt, B, only with PM_PURPOSE_TOOL and nobody else in the instance: makes or changes
	 * what the backend consists of, at the administrator's word: tables, counters. `what` is
	 * a word of the module's manual page; empty: what makes it usable. May be repeated.
	 * Progress goes to host->log, the reason of a failure to call->error. PM_OK, PM_AGAIN,
	 * PM_UNSUPPORTED (no such word), failures. */
	int32_t (*setup)(void *inst, const struct pm_call *call, struct pm_str what);
};

struct pm_auth {
	uint32_t size;
	uint32_t pad;
	/* M, no I/O: credential kinds (bit 1 << PM_CRED_...) and secrets (PM_SECRET_... << 16)
	 * it can serve. Constant for an instance: CAPA is the same before and after login. */
	int32_t (*caps)(void *inst, uint64_t *ret_kinds);
	/*
	 * B M. Is this who it says it is? PM_OK fills *ret_user. PM_DENIED: no. PM_NEXT: not my
	 * user. PM_TEMP, PM_DOWN, PM_TIMEOUT: cannot tell (R11). An empty secret is PM_DENIED
	 * without asking anybody. An unknown user takes as long as a known one. A user whose state
	 * is not ENABLED, with the right secret: PM_OK, state set.
	 */
	int32_t (*verify)(void *inst, const struct pm_call *call, const struct pm_cred *cred,
			  struct pm_user *ret_user);
	/* B M. As verify, without secret: delivery, master user, proved certificates. PM_OK,
	 * PM_NOENT; PM_UNSUPPORTED: without a secret this section cannot tell. That is never
	 * taken for "no such user". */
	int32_t (*lookup)(void *inst, const struct pm_call *call, const struct pm_cred *cred,
			  struct pm_user *ret_user);
	/* opt, B M. Stored verifier of one of the kinds asked for in ret_secret->kinds, and the
	 * user. PM_OK, PM_NOENT, PM_UNSUPPORTED (this user has none of the kinds). */
	int32_t (*secret)(void *inst, const struct pm_call *call, const struct pm_cred *cred,
			  struct pm_secret *ret_secret, struct pm_user *ret_user);
	/* opt, B M. Is this domain ours? PM_OK, PM_NOENT: tells 5.1.2 from 5.1.1. */
	int32_t (*domain)(void *inst, const struct pm_call *call, struct pm_str name);
	/* opt, B M. PM_EVENT_...; in the background, never slowing a login. */
	int32_t (*event)(void *inst, const struct pm_call *call, const struct pm_user *user,
			 uint32_t what);
};

struct pm_storage {
	uint32_t size;
	uint32_t pad;
	/*
	 * B M. Opens a maildrop and takes its snapshot: later deliveries are not in it.
	 * flags      PM_OPEN_EXCLUSIVE takes the session-long lock, across threads, processes and
	 *            hosts as the store allows; PM_BUSY at once, never waits for another session.
	 *            PM_OPEN_READONLY takes none: others may delete meanwhile, then mbox_info goes
	 *            on as before and msg_open may be PM_GONE.
	 * *ret_mbox  PM_AGAIN stores a handle in the making: call again with it in *ret_mbox (NULL
	 *            at first), or give it back by mbox_close. Any result but PM_OK and PM_AGAIN
	 *            ends it.
	 * A mailbox that does not exist yet: PM_OK with 0 messages, nothing created. A store that
	 * counts (PM_F_COUNTS), a database of several hosts, locks it all the same and creates what
	 * that needs, but for PM_OPEN_READONLY.
	 */
	int32_t (*mbox_open)(void *inst, const struct pm_call *call, const struct pm_user *user,
			     uint32_t flags, uint64_t *ret_count, void **ret_mbox);
	/*
	 * B H. Fills n records with what `want` asks about messages first..first+n-1 (0-based index
	 * into the snapshot, first + n <= count, n <= PM_SLICE_MAX, else PM_INVALID). octets as in
	 * MAIL AS BYTES; uidl 1..70 characters 0x21..0x7E, unique in the maildrop, the same in
	 * every session, never reused (RFC 1939 section 7).
	 * A message that cannot be read fails nothing here: it has PM_MSG_UNREADABLE and, as
	 * octets, what was last known, else the size of what is stored, else 0. The module names it
	 * in the log, once a session. Likewise one that is there no more, which has no flag:
	 * msg_open is PM_GONE.
	 * The host asks for OCTETS again while a message is open, before it announces them: of that
	 * message they are what msg_read will deliver, counted anew if need be, and may be others
	 * than before. PM_AGAIN: progress made, no record filled yet. All but PM_OK leave ret
	 * untouched.
	 */
	int32_t (*mbox_info)(void *mbox, const struct pm_call *call, uint64_t first, size_t n,
			     size_t stride, uint32_t want, struct pm_msg *ret);
	/* B H. One message at a time per mailbox. The snapshot's content, or PM_GONE or PM_TEMP:
	 * never another message. */
	int32_t (*msg_open)(void *mbox, const struct pm_call *call, uint64_t index, void **ret_msg);
	/* B H. Bytes as stored: PM_OK with *ret_got >= 1, PM_END after the last. PM_TEMP keeps
	 * the position. At most 64 KiB are read ahead. PM_END says that this was the message as
	 * it was opened: one that was cut, has grown or was replaced meanwhile is PM_TEMP, and a
	 * size that is remembered of it is forgotten, so that the next session counts anew. (A
	 * message that ends with other octets than were announced is not retrieved.) */
	int32_t (*msg_read)(void *msg, const struct pm_call *call, void *buf, size_t cap,
			    size_t *ret_got);
	/* opt, B H. The file range of a PM_MSG_WIRE_CLEAN message; the module keeps the
	 * descriptor. */
	int32_t (*msg_fd)(void *msg, const struct pm_call *call, int32_t *ret_fd, uint64_t *ret_off,
			  uint64_t *ret_len);
	/* B H. Cannot fail. */
	void (*msg_close)(void *msg, const struct pm_call *call);
	/*
	 * B H. Deletes or hides exactly commit->del, marks, restores. PM_OK: durable. PM_TEMP and
	 * other plain failures: nothing changed. PM_BUSY: the lock was lost, nothing changed.
	 * PM_PARTIAL: committed, *ret_done deleted so far, the rest is finished by a later open.
	 * PM_UNKNOWN. One call->op_id per handle; the same may be repeated. The lock stays held
	 * until mbox_close. Without the lock (PM_OPEN_READONLY), or with another n than the
	 * snapshot's: PM_INVALID, nothing changed. keep_until_ms without PM_F_CAN_HIDE:
	 * PM_UNSUPPORTED, nothing changed.
	 */
	int32_t (*mbox_commit)(void *mbox, const struct pm_call *call,
			       const struct pm_commit *commit, uint64_t *ret_done);
	/* B H. Cannot fail. Without commit nothing is deleted. Releases the lock. */
	void (*mbox_close)(void *mbox, const struct pm_call *call);
	/* opt, B M. Up to n mailboxes after `cursor` (empty: from the start), in a stable order;
	 * *ret_got < n: the last ones. PM_AGAIN (R7): there is no handle, the module knows by the
	 * cursor how far it is; a caller may never come back. A list that may lack mailboxes is a
	 * failure. */
	int32_t (*box_list)(void *inst, const struct pm_call *call, struct pm_str cursor, size_t n,
			    size_t stride, struct pm_box *ret, size_t *ret_got);
	/* opt, B M. PM_OK, PM_NOENT. PM_AGAIN (R7): there is no handle, the module knows by the
	 * mailbox how far it is; a caller may never come back.
	 * PM_CALLF_RECOUNT: what is remembered of this mailbox (totals, counters, caches) is
	 * forgotten, and what mbox_open would find now is counted and remembered. Of slices the
	 * first call alone has the flag: a module that answers it with PM_AGAIN has forgotten,
	 * and goes on counting with the calls that follow. */
	int32_t (*box_stat)(void *inst, const struct pm_call *call, const struct pm_user *user,
			    struct pm_stat *ret_stat);
	/* opt, B M. Removes the mailbox and all its mail. PM_BUSY while a session holds it. */
	int32_t (*box_delete)(void *inst, const struct pm_call *call, const struct pm_user *user);
	/* opt, B M, asked of PM_F_COUNTS alone: count and octets of a domain's mailboxes
	 * together, by which domain_* of pm_user is decided; a domain nobody has holds nothing.
	 * PM_OK, PM_AGAIN, failures. PM_CALLF_RECOUNT: first it is made the sum of what box_stat
	 * says of them; their own totals stay. */
	int32_t (*domain_stat)(void *inst, const struct pm_call *call, struct pm_str domain,
			       struct pm_stat *ret_stat);
	/* opt, B M. Where this user's mail lies, as it is now: a text (1..PM_PLACE_MAX bytes, of
	 * call->alloc()) that is the same for two instances of one module and two users if they
	 * share a mailbox, however their sections spell it - links, mounts, names of servers -,
	 * and another one if they do not. Makes nothing; the mailbox may not exist yet. PM_OK;
	 * PM_PERM: this user can have none here; failures. */
	int32_t (*box_place)(void *inst, const struct pm_call *call, const struct pm_user *user,
			     struct pm_str *ret_place);
};

/*
 * An import: uidl, order and dates of the recipient count. With a uidl it may be repeated, by
 * whoever does not know what became of it: PM_EXISTS, of dlv_rcpt or in dlv_commit's results, means
 * that a message of this unique-id is here, durably, or was here and was deleted by a commit (a
 * store remembers imports for 30 days at least). The caller may let go of his copy. An import that
 * was cut before its message was visible is unknown: its repetition delivers.
 */
#define PM_DLVF_IMPORT 1u
/*
 * Together with IMPORT: brings back what was here before. PM_EXISTS only if the message is here
 * now, visible or hidden; one that was deleted, or whose time of hiding is over, is delivered
 * again, with the same unique-id. Who gets PM_EXISTS lets go of the last other copy.
 */
#define PM_DLVF_RESTORE 2u

/*
 * Delivery: begin, rcpt..., write..., prepare, commit; abort ends it at any time. commit and abort
 * give the handle back, a commit whatever it returns but for PM_AGAIN. A handle holds no connection
 * or permit between calls.
 */
struct pm_delivery {
	uint32_t size;
	uint32_t pad;
	/* B M. size_hint: bytes announced, 0 = unknown. */
	int32_t (*dlv_begin)(void *inst, const struct pm_call *call, uint64_t size_hint,
			     uint32_t flags, void **ret_dlv);
	/* B H. Before the first write. PM_OK, or why not this one (which then has no result
	 * record). */
	int32_t (*dlv_rcpt)(void *dlv, const struct pm_call *call, const struct pm_rcpt *rcpt);
	/* B H. The message as on the wire: lines end in CRLF, dots unstuffed. */
	int32_t (*dlv_write)(void *dlv, const struct pm_call *call, const void *buf, size_t n);
	/* B H. Durable but invisible, per recipient: done on all instances before any commit. The
	 * return value is about the whole; ret[i].rc about recipient i. */
	int32_t (*dlv_prepare)(void *dlv, const struct pm_call *call, struct pm_result *ret,
			       size_t stride);
	/* B H. Visible to the next mbox_open of each recipient that was prepared. op_id as in
	 * commit. */
	int32_t (*dlv_commit)(void *dlv, const struct pm_call *call, struct pm_result *ret,
			      size_t stride);
	/* B H. Cannot fail. */
	void (*dlv_abort)(void *dlv, const struct pm_call *call);
};

/* ---- the descriptor -------------------------------------------------------------------------- */

#define PM_F_DRAFT 1u     /* built against a draft of this header: required while abi 1.0 is one */
#define PM_F_SERIAL 2u    /* one call at a time: the host gives it one permit */
#define PM_F_MAY_BLOCK 4u /* waits for something remote or for a disk */
#define PM_F_MAY_BURN 8u  /* burns CPU: password hashes */
#define PM_F_CAN_MARK 16u /* stores `retrieved` */
#define PM_F_CAN_HIDE 32u /* hides instead of deleting */
#define PM_F_CAN_IMPORT 64u
#define PM_F_CAN_UTF8 128u /* keeps UTF-8 headers as they are */
/* checks quota_* and domain_* of pm_user itself, in its own transaction: PM_QUOTA */
#define PM_F_COUNTS 256u

struct pm_module {
	uint32_t size;
	uint32_t abi_major;
	uint32_t abi_minor; /* needed of the host */
	uint32_t flags;     /* PM_F_... */
	struct pm_str name; /* [a-z][a-z0-9_]*: `module = NAME` */
	struct pm_str version;
	struct pm_str licence; /* SPDX */
	const struct pm_option *options;
	uint32_t n_options;
	uint32_t option_stride;
	/* each sub-table has its own size and grows at its own end; */
	const struct pm_life *life;
	const struct pm_auth *auth; /* NULL = does not do that */
	const struct pm_storage *storage;
	const struct pm_delivery *delivery;
};

/*
 * The one symbol a module exports. The host asks for index 0, 1, ... until NULL: one file may hold
 * several modules. The descriptor is constant and lives for ever.
 */
const struct pm_module *pm_module_v1(uint32_t host_minor, uint32_t index);

#if defined(__GNUC__)
#define PM_EXPORT __attribute__((visibility("default")))
#else
#define PM_EXPORT
#endif

/* The layout is part of the contract; asserted where it was measured. */
#if defined(__x86_64__) || defined(__aarch64__)
#define PM_ASSERT_SIZE_(lp64, ilp32) (lp64)
#elif defined(__i386__)
#define PM_ASSERT_SIZE_(lp64, ilp32) (ilp32)
#endif
#ifdef PM_ASSERT_SIZE_
#ifdef __cplusplus
#define PM_ASSERT_SIZE(t, lp64, ilp32) \
	static_assert(sizeof(struct t) == PM_ASSERT_SIZE_(lp64, ilp32), #t)
#else
#define PM_ASSERT_SIZE(t, lp64, ilp32) \
	_Static_assert(sizeof(struct t) == PM_ASSERT_SIZE_(lp64, ilp32), #t)
#endif
PM_ASSERT_SIZE(pm_host, 72, 40);
PM_ASSERT_SIZE(pm_report, 24, 16);
PM_ASSERT_SIZE(pm_open, 128, 76);
PM_ASSERT_SIZE(pm_call, 72, 56);
PM_ASSERT_SIZE(pm_cred, 176, 96);
PM_ASSERT_SIZE(pm_secret, 80, 48);
PM_ASSERT_SIZE(pm_attr, 32, 16);
PM_ASSERT_SIZE(pm_user, 216, 152);
PM_ASSERT_SIZE(pm_msg, 192, 192);
PM_ASSERT_SIZE(pm_commit, 56, 44);
PM_ASSERT_SIZE(pm_box, 1296, 1296);
PM_ASSERT_SIZE(pm_stat, 48, 48);
PM_ASSERT_SIZE(pm_rcpt, 88, 60);
PM_ASSERT_SIZE(pm_result, 88, 88);
PM_ASSERT_SIZE(pm_life, 88, 48);
PM_ASSERT_SIZE(pm_auth, 56, 32);
PM_ASSERT_SIZE(pm_storage, 112, 60);
PM_ASSERT_SIZE(pm_delivery, 56, 32);
PM_ASSERT_SIZE(pm_module, 112, 68);
PM_ASSERT_SIZE(pm_option, 80, 48);
PM_ASSERT_SIZE(pm_value, 48, 32);
PM_ASSERT_SIZE(pm_str, 16, 8);
#undef PM_ASSERT_SIZE
#undef PM_ASSERT_SIZE_
#endif

#ifdef __cplusplus
}
#endif

#endif

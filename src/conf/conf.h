/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf - an immutable, reference-counted snapshot of the configuration. A session keeps the one it
 * began with. Strings belong to the snapshot.
 *
 * Threads: conf_get/conf_put any; the current one is swapped by conf_publish under one mutex.
 */
#ifndef RST_CONF_CONF_H
#define RST_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "conf/errors.h"

struct backend; /* module/backend.h */
struct volume;  /* mailbox/volume.h */
struct tls;     /* net/tls.h */

enum conf_tls { CONF_TLS_NONE, CONF_TLS_STARTTLS, CONF_TLS_IMPLICIT };

enum conf_proxy { CONF_PROXY_OFF, CONF_PROXY_REQUIRED };

enum conf_protocol { CONF_POP3, CONF_LMTP, CONF_SMTP };

struct conf_listener {
	const char *name;
	enum conf_protocol protocol;
	const char *address; /* text; "::", "0.0.0.0", ...; NULL: a unix socket */
	uint16_t port;
	const char *path; /* of the unix socket; NULL: TCP */
	uint32_t mode;    /* of the unix socket, and who owns it; NULL: as it is made */
	const char *owner, *group;
	/* addresses and networks that may say XCLIENT; "local": the unix socket */
	const char **xclient;
	size_t n_xclient;
	enum conf_tls tls;
	bool plaintext_login; /* allow; default refuse */
	int32_t sndbuf;
	enum conf_proxy proxy;
	const char **proxy_from; /* addresses and networks of proxies that are believed */
	size_t n_proxy_from;
	struct conf_where where;
};

/* For content that may be refused. */
enum conf_content { CONF_REFUSE, CONF_ACCEPT };
enum conf_unknown { CONF_UNKNOWN_REFUSE, CONF_UNKNOWN_BADMAIL };

/* LMTP and SMTP. */
struct conf_delivery {
	int64_t idle_timeout_ms;
	uint32_t max_sessions;   /* of the server's max_sessions; 0: all */
	uint32_t max_recipients; /* of a message */
	uint32_t max_errors;     /* of a session; then it ends */
	uint32_t max_received;   /* Received fields: more is a loop */
	uint64_t max_size;       /* octets of a message */
	uint64_t max_header;     /* octets of its header */
	enum conf_content bare_lf, bare_cr, long_lines, eight_bit, nul;
	bool check_delivered_to;
	const char *delimiter; /* user+tag; NULL: none */
	enum conf_unknown unknown_recipient;
	const char *postmaster; /* who gets what has no account of its own; NULL: nobody */
};

/* A setting the server does not know: the module's. */
struct conf_setting {
	const char *key, *value;
	struct conf_where where;
};

enum conf_kind { CONF_AUTH, CONF_STORAGE, CONF_LOCAL };

#define CONF_NAME_BARE "none"

struct conf_section {
	enum conf_kind kind;
	const char *name;
	const char *module; /* name or absolute path */
	const char *wrap;   /* section of the same kind, or NULL */
	/* auth: where its users' mail is; NULL: the only storage section */
	const char *storage;
	const char **domains; /* auth: which names it is asked about; n = 0: all */
	size_t n_domains;
	/* auth: appended to names of accounts without a domain; CONF_NAME_BARE: they need none;
	 * NULL: not given (account/own.h) */
	const char *name_domain;
	const char *volume; /* storage: the volume block its mail is on; NULL: none */
	struct volume *vol; /* set by bind; also in the backend */
	/* gate; -1 = not given (bind.c chooses) */
	int64_t permits, queue_max, wait_ms, call_ms, scan_ms, commit_ms, trip_after,
		breaker_open_ms;
	/* auth: credential cache; -1 = not given: off */
	int64_t cache_ms, cache_negative_ms, cache_size, last_known_good_ms;
	struct conf_setting *settings;
	size_t n_settings;
	struct conf_where where;
	struct backend *backend; /* set by bind; one reference */
	bool only_wrapped;       /* named by some wrap: not asked directly */
	bool for_undo;           /* named by undo_storage: nobody's maildrop is there */
};

/* A disk mail is written to; see mailbox/volume.h. */
struct conf_volume {
	const char *name;
	const char *path; /* a directory on it */
	/* must be a mount point, or nothing is written; NULL: not asked */
	const char *mount;
	/* free space below the larger of both: no new mail */
	int64_t reserve_percent, reserve_octets;
	/* octets of the file that is given back when the disk is full; 0: none */
	int64_t reserve_file;
	struct conf_where where;
	struct volume *vol; /* set by bind */
};

/* Limits that the site, a domain and a user each may set; in a domain -1: the site's. */
struct conf_limits {
	/* mailbox/retention.h; expire: PM_EXPIRE_CLIENT = client */
	int32_t expire_days, undo_days;
	int64_t quota_octets, quota_msgs;   /* of each user; 0: no limit */
	int64_t domain_octets, domain_msgs; /* of each domain as a whole */
};

struct conf_domain {
	const char *name; /* lower-case */
	struct conf_limits limits;
	struct conf_where where;
};

enum conf_quota_over { CONF_QUOTA_DEFER, CONF_QUOTA_REFUSE };

/* badmail/badmail.h */
struct conf_badmail {
	const char *path; /* NULL: there is no Badmail */
	const char *volume;
	struct volume *vol; /* set by bind */
	int64_t max_octets, max_items, max_age_ms;
	int64_t retry_first_ms, retry_max_ms;
	int64_t permits;
	struct conf_where where;
	struct backend *backend; /* set by bind: a gate without a module */
};

enum conf_name_case { CONF_CASE_LOWER, CONF_CASE_KEEP };
enum conf_log_sink { CONF_LOG_STDERR, CONF_LOG_SYSLOG, CONF_LOG_FILE };

struct conf {
	_Atomic uint32_t refs;
	uint64_t serial;                 /* 1, 2, ... with each load */
	void (*release)(struct conf *c); /* bind's: gives back what it opened; NULL: nothing was */
	const char *file;
	uint32_t config_version;
	/* process */
	uint32_t workers, reserve;
	const char *user; /* NULL: not given */
	const char *state_dir, *run_dir, *module_dir;
	const char *hostname; /* for APOP and the greeting; default gethostname */
	/* limits */
	uint32_t max_sessions, max_per_address;
	int64_t shed_ms;
	uint64_t tables_max; /* octets of all message tables together */
	/* timers */
	int64_t login_timeout_ms, idle_timeout_ms, drain_ms, takeover_ms;
	/* login */
	const char *default_domain; /* NULL: none */
	enum conf_name_case name_case;
	bool apop;                  /* off */
	uint32_t max_bad_commands;  /* consecutive; then the connection ends */
	uint32_t max_failed_logins; /* per session */
	/* log */
	enum conf_log_sink log_sink;
	const char *log_file;
	bool log_json;
	int log_level;
	/* tls */
	const char *tls_certificate, *tls_key, *tls_min_version, *tls_ciphers;
	struct tls *tls; /* set by bind; NULL: no listener wants it */
	struct conf_delivery delivery;
	struct conf_listener *listeners; /* there is room for one more: direct.c */
	size_t n_listeners;
	struct conf_listener metrics; /* where /metrics is served; name NULL: nowhere */
	struct conf_section *auth;    /* in the order of the file: the chain */
	size_t n_auth;
	struct conf_section *storage;
	size_t n_storage;
	/* keeping mail: quotas, retention, disks */
	struct conf_limits site;
	struct conf_domain *domains;
	size_t n_domain_blocks;
	/* percent of a user's limit that brings a warning mail; 0: never */
	uint32_t quota_warn;
	enum conf_quota_over quota_over; /* what a sender is told: 452 4.2.2 or 552 5.2.2 */
	struct conf_volume *volumes;
	size_t n_volumes;
	const char *undo_storage;  /* upkeep/undo.h; NULL: deleted mail stays hidden where it is */
	struct conf_section *undo; /* that section */
	uint32_t undo_waiting;     /* accounts */
	const char *state_volume;
	struct volume *state_vol; /* set by bind */
	/* set by bind: a gate without a module, for looking at the disks */
	struct backend *volume_backend;
	struct conf_badmail badmail;
	void *memory; /* all strings and arrays */
};

/* Reads and checks a file against the schema (not the modules: see bind/bind.h). All errors are
 * reported; e->count says whether there were any. A snapshot comes back all the same, so that
 * bind_check can report the modules' errors in the same run; it must not be put into service
 * then. NULL: the file could not be read, or there is no memory. */
struct conf *conf_load(const char *file, struct conf_errors *e);
struct conf *conf_ref(struct conf *c);
/* The last reference: c->release first, then the memory. NULL is fine. */
void conf_put(struct conf *c);

/* The block of this domain (any case), or NULL. */
const struct conf_domain *conf_domain(const struct conf *c, const char *name, size_t n);

/* The current snapshot, with a reference for the caller. */
struct conf *conf_current(void);
/* Takes over the caller's reference; drops the old one. */
void conf_publish(struct conf *c);

/* The listener of this name; NULL: a reload has removed it. */
const struct conf_listener *conf_find_listener(const struct conf *c, const char *name);

#endif

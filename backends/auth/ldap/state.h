/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state - how directories say that an account is locked, expired, disabled. Pure: texts and numbers
 * in, a state out. For the operator's log only; a client is never told more than [AUTH].
 */
#ifndef LDAP_STATE_H
#define LDAP_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include <restante/module.h>

enum state {
	STATE_OK,
	STATE_WRONG,   /* the password; also what we do not understand */
	STATE_UNKNOWN, /* no such account */
	STATE_NO_PASSWORD,
	STATE_LOCKED,
	STATE_DISABLED,
	STATE_EXPIRED,
	STATE_PASSWORD_EXPIRED,
	STATE_MUST_CHANGE,
	STATE_NOT_NOW, /* or not from here */
	STATE_UNCLEAR, /* it says why, and we do not know that word: neither yes nor no */
};

/* A few words for the log. */
const char *state_text(enum state s);

/* Active Directory's sub-code in the diagnostic text of code 49: "... AcceptSecurityContext
 * error, data 52e, v4563". A code of its own that is not known: STATE_UNCLEAR. */
enum state state_of_ad(const char *diagnostic);

/* Texts that other servers send with codes 19 and 53. STATE_OK: none of them. */
enum state state_of_text(const char *diagnostic);

/* userAccountControl and msDS-User-Account-Control-Computed (MS-ADTS 2.2.16). */
enum state state_of_account_control(int64_t bits);

/* Decimal, with sign; false: something else. */
bool state_number(struct pm_str text, int64_t *ret);

/* accountExpires (100 ns since 1601; 0 and 2^63-1: never) and shadowExpire (days since 1970;
 * below 1: never) as milliseconds since 1970; 0: no end. */
int64_t state_filetime_ms(int64_t filetime);
int64_t state_days_ms(int64_t days);

/* A size: digits and an optional k, m, g, t (1024 to the power of 1..4), an optional b after
 * it. */
bool state_size(struct pm_str text, uint64_t *ret);

/* Applies one word to a set of PM_RIGHT_...: pop3 delete deliver master, and the same with "no"
 * in front. */
bool state_right(struct pm_str word, uint32_t *rights);

#endif

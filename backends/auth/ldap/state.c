/* SPDX-License-Identifier: Apache-2.0 */
#include "state.h"

#include <string.h>
#include <strings.h>

const char *
state_text(enum state s)
{
	static const char *const texts[] = {
		[STATE_OK] = "accepted",
		[STATE_WRONG] = "wrong password",
		[STATE_UNKNOWN] = "unknown user",
		[STATE_NO_PASSWORD] = "account has no password",
		[STATE_LOCKED] = "account is locked",
		[STATE_DISABLED] = "account is disabled",
		[STATE_EXPIRED] = "account is expired",
		[STATE_PASSWORD_EXPIRED] = "password is expired",
		[STATE_MUST_CHANGE] = "password must be changed",
		[STATE_NOT_NOW] = "account may not log in at this time or from here",
		[STATE_UNCLEAR] = "a reason that is not known here",
	};

	return texts[s];
}

enum state
state_of_ad(const char *diagnostic)
{
	static const struct {
		const char *code;
		enum state state;
	} codes[] = {
		{"525", STATE_UNKNOWN},  {"52e", STATE_WRONG},   {"52f", STATE_NOT_NOW},
		{"530", STATE_NOT_NOW},  {"531", STATE_NOT_NOW}, {"532", STATE_PASSWORD_EXPIRED},
		{"533", STATE_DISABLED}, {"701", STATE_EXPIRED}, {"773", STATE_MUST_CHANGE},
		{"775", STATE_LOCKED},
	};
	const char *data = strstr(diagnostic, "data ");
	bool ad = strstr(diagnostic, "AcceptSecurityContext") != NULL;

	for (; data; data = strstr(data, "data ")) {
		size_t n;

		data += 5;
		n = strcspn(data, ", ");
		for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
			if (n == 3 && strncasecmp(data, codes[i].code, 3) == 0)
				return codes[i].state;
		if (ad && n > 0 && strspn(data, "0123456789abcdefABCDEF") == n)
			return STATE_UNCLEAR;
	}
	return STATE_WRONG;
}

enum state
state_of_text(const char *diagnostic)
{
	if (strcasestr(diagnostic, "account inactivated")) /* 389 Directory Server, code 53 */
		return STATE_DISABLED;
	if (strcasestr(diagnostic, "password retry limit")) /* the same, code 19 */
		return STATE_LOCKED;
	return STATE_OK;
}

enum state
state_of_account_control(int64_t bits)
{
	if (bits & 0x2) /* ACCOUNTDISABLE */
		return STATE_DISABLED;
	if (bits & 0x10) /* LOCKOUT: true in the computed attribute only */
		return STATE_LOCKED;
	if (bits & 0x800000) /* PASSWORD_EXPIRED: likewise */
		return STATE_PASSWORD_EXPIRED;
	return STATE_OK;
}

bool
state_number(struct pm_str text, int64_t *ret)
{
	bool minus = text.n > 0 && text.p[0] == '-';
	size_t i = minus ? 1 : 0;
	int64_t v = 0;

	if (i == text.n)
		return false;
	for (; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9' || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, text.p[i] - '0', &v))
			return false;
	}
	*ret = minus ? -v : v;
	return true;
}

int64_t
state_filetime_ms(int64_t filetime)
{
	if (filetime <= 0 || filetime == INT64_MAX)
		return 0;
	filetime = filetime / 10000 - INT64_C(11644473600000);
	return filetime > 0 ? filetime : 1; /* before 1970 is long over, and 0 would be "no end" */
}

int64_t
state_days_ms(int64_t days)
{
	return days < 1 || days > INT64_MAX / 86400000 ? 0 : days * 86400000;
}

bool
state_size(struct pm_str text, uint64_t *ret)
{
	static const char units[] = "kmgt";
	uint64_t v = 0;
	size_t i = 0;

	for (; i < text.n && text.p[i] >= '0' && text.p[i] <= '9'; i++)
		if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(text.p[i] - '0'), &v))
			return false;
	if (i == 0)
		return false;
	if (i < text.n) {
		const char *unit = strchr(units, text.p[i] | 0x20);

		if (unit && *unit) {
			if (__builtin_mul_overflow(v, UINT64_C(1) << (10 * (unit - units + 1)), &v))
				return false;
			i++;
		}
	}
	if (i < text.n && (text.p[i] | 0x20) == 'b')
		i++;
	if (i < text.n)
		return false;
	*ret = v;
	return true;
}

bool
state_right(struct pm_str word, uint32_t *rights)
{
	static const struct {
		const char *word;
		uint32_t right;
	} words[] = {
		{"pop3", PM_RIGHT_POP3},
		{"delete", PM_RIGHT_DELETE},
		{"deliver", PM_RIGHT_DELIVER},
		{"master", PM_RIGHT_MASTER},
	};
	bool no = word.n > 2 && strncasecmp(word.p, "no", 2) == 0;

	if (no)
		word = (struct pm_str){word.p + 2, word.n - 2};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (word.n != strlen(words[i].word) ||
		    strncasecmp(word.p, words[i].word, word.n) != 0)
			continue;
		*rights = no ? *rights & ~words[i].right : *rights | words[i].right;
		return true;
	}
	return false;
}

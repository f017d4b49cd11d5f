/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/domain.h"

#include <string.h>
#include <strings.h>

bool
conf_domain_fits(const char *pattern, const char *domain)
{
	if (pattern[0] == '*' && pattern[1] == '.') {
		size_t n = strlen(domain), m = strlen(pattern + 1);

		return n > m && strcasecmp(domain + n - m, pattern + 1) == 0;
	}
	return strcasecmp(pattern, domain) == 0;
}

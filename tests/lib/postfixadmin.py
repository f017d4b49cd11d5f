# SPDX-License-Identifier: Apache-2.0
"""The tables of PostfixAdmin 3.3 that hold accounts, as its own upgrade.php makes them on MariaDB and on PostgreSQL:
types, collations, defaults and keys."""

STAMP_MY = "datetime NOT NULL DEFAULT '2000-01-01 00:00:00'"
UTF8 = "CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT ''"
MYSQL = """
CREATE TABLE domain (domain varchar(255) NOT NULL, description varchar(255) CHARACTER SET utf8mb3 NOT NULL,
 aliases int NOT NULL DEFAULT 0, mailboxes int NOT NULL DEFAULT 0, maxquota bigint NOT NULL DEFAULT 0,
 quota bigint NOT NULL DEFAULT 0, transport varchar(255) NOT NULL, backupmx tinyint(1) NOT NULL DEFAULT 0, created {0},
 modified {0}, active tinyint(1) NOT NULL DEFAULT 1, password_expiry int DEFAULT 0, PRIMARY KEY (domain)) {2};
CREATE TABLE mailbox (username varchar(255) NOT NULL, password varchar(255) NOT NULL,
 name varchar(255) CHARACTER SET utf8mb4 NOT NULL, maildir varchar(255) NOT NULL, quota bigint NOT NULL DEFAULT 0,
 local_part varchar(255) NOT NULL, domain varchar(255) NOT NULL, created {0}, modified {0},
 active tinyint(1) NOT NULL DEFAULT 1, phone varchar(30) {1}, email_other varchar(255) {1}, token varchar(255) {1},
 token_validity {0}, password_expiry {0}, PRIMARY KEY (username), KEY domain (domain)) {2};
CREATE TABLE alias (address varchar(255) NOT NULL, goto text NOT NULL, domain varchar(255) NOT NULL, created {0},
 modified {0}, active tinyint(1) NOT NULL DEFAULT 1, PRIMARY KEY (address), KEY domain (domain)) {2};
CREATE TABLE alias_domain (alias_domain varchar(255) NOT NULL DEFAULT '', target_domain varchar(255) NOT NULL DEFAULT '',
 created {0}, modified {0}, active tinyint(1) NOT NULL DEFAULT 1, PRIMARY KEY (alias_domain), KEY active (active),
 KEY target_domain (target_domain)) {2};
""".format(STAMP_MY, UTF8, "ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_general_ci")

STAMP_PG = "timestamp with time zone DEFAULT now()"
TEXT_PG = "character varying(255) NOT NULL DEFAULT ''"
PGSQL = """
CREATE TABLE domain (domain character varying(255) PRIMARY KEY, description {1}, aliases integer NOT NULL DEFAULT 0,
 mailboxes integer NOT NULL DEFAULT 0, maxquota bigint NOT NULL DEFAULT 0, quota bigint NOT NULL DEFAULT 0,
 transport character varying(255), backupmx boolean NOT NULL DEFAULT false, created {0}, modified {0},
 active boolean NOT NULL DEFAULT true, password_expiry integer DEFAULT 0);
CREATE TABLE mailbox (username character varying(255) PRIMARY KEY, password {1}, name {1}, maildir {1},
 quota bigint NOT NULL DEFAULT 0, created {0}, modified {0}, active boolean NOT NULL DEFAULT true,
 domain character varying(255) REFERENCES domain (domain), local_part character varying(255) NOT NULL, phone {1},
 email_other {1}, token {1}, token_validity {0}, password_expiry {0});
CREATE TABLE alias (address character varying(255) PRIMARY KEY, goto text NOT NULL,
 domain character varying(255) NOT NULL REFERENCES domain (domain), created {0}, modified {0},
 active boolean NOT NULL DEFAULT true);
CREATE TABLE alias_domain (alias_domain character varying(255) PRIMARY KEY REFERENCES domain (domain) ON DELETE CASCADE,
 target_domain character varying(255) NOT NULL REFERENCES domain (domain) ON DELETE CASCADE, created {0}, modified {0},
 active boolean NOT NULL DEFAULT true);
CREATE INDEX alias_address_active ON alias (address, active);
CREATE INDEX alias_domain_active ON alias_domain (alias_domain, active);
CREATE INDEX alias_domain_idx ON alias (domain);
CREATE INDEX domain_domain_active ON domain (domain, active);
CREATE INDEX mailbox_domain_idx ON mailbox (domain);
CREATE INDEX mailbox_username_active ON mailbox (username, active);
""".format(STAMP_PG, TEXT_PG)

TABLES = {"mysql": MYSQL, "pgsql": PGSQL}
EXAMPLE = {"mysql": "postfixadmin", "pgsql": "postfixadmin-pgsql"}


def number(db):
    """A row's number in mysql's sequences and PostgreSQL's series; tables are filled from them."""
    return {"mysql": "seq_1_to_%d AS s", "pgsql": "generate_series(1, %d) AS s(seq)"}[db.driver]


def fill(db, accounts, domains, hashed):
    """Accounts u1@d1.example ..., each with the alias to itself that PostfixAdmin writes, and an alias i-...; for each
    domain dN.example an alias domain aN.example."""
    def cat(*parts):
        return "CONCAT(%s)" % ", ".join(parts) if db.driver == "mysql" else " || ".join(parts)
    rows, groups = number(db) % accounts, number(db) % domains
    domain, other = cat("'d'", "(seq % {0})", "'.example'").format(domains), cat("'a'", "(seq % {0})", "'.example'").format(domains)
    name = cat("'u'", "seq", "'@d'", "(seq % {0})".format(domains), "'.example'")
    for table, columns, values, source in (
            ("domain", "domain, description, transport", domain + ", '', 'virtual'", groups),
            ("domain", "domain, description, transport", other + ", '', 'virtual'", groups),
            ("alias_domain", "alias_domain, target_domain", other + ", " + domain, groups),
            ("mailbox", "username, password, name, maildir, quota, local_part, domain",
             "%s, '%s', 'N', %s, 1000, %s, %s" % (name, hashed, cat(domain, "'/u'", "seq", "'/'"), cat("'u'", "seq"), domain), rows),
            ("alias", "address, goto, domain", "%s, %s, %s" % (name, name, domain), rows),
            ("alias", "address, goto, domain", "%s, %s, %s" % (cat("'i-'", name), cat(name, "',y@example.net'"), domain), rows)):
        db.sql("INSERT INTO %s (%s) SELECT %s FROM %s" % (table, columns, values, source))
    db.sql("ANALYZE TABLE domain, mailbox, alias, alias_domain" if db.driver == "mysql" else "ANALYZE")

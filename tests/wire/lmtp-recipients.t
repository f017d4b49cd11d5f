# users: ann@example.org=restante ben+lists@example.org=restante ben@example.org=restante grüße@example.org=restante stand-in@example.org=restante
# domain: example.org,other.example
# alias: hostmaster@example.org=postmaster@other.example
# delivery: postmaster=stand-in max_errors=100
# set: default_domain=example.org
# which account is meant: case, tags (the whole name first), quotes, UTF-8, postmaster; our domains and others
!port lmtp
S~ 220 .*
C: LHLO me
S- *
C: MAIL FROM:<a@x.org> SMTPUTF8
S~ 250 2.1.0.*
C: RCPT TO:<ann>
S: 250 2.1.5 <ann> recipient ok
C: RCPT TO:<ANN@EXAMPLE.ORG>
S: 250 2.1.5 <ANN@EXAMPLE.ORG> recipient ok
C: RCPT TO:<"ann"@example.org.>
S: 250 2.1.5 <ann@example.org> recipient ok
C: RCPT TO:<"a\\nn"@example.org>
S: 250 2.1.5 <ann@example.org> recipient ok
C: RCPT TO:<ann+tag+more@example.org>
S: 250 2.1.5 <ann+tag+more@example.org> recipient ok
C: RCPT TO:<ben+lists@example.org>
S: 250 2.1.5 <ben+lists@example.org> recipient ok
C: RCPT TO:<ben+other@example.org>
S: 250 2.1.5 <ben+other@example.org> recipient ok
C: RCPT TO:<"a nn"@example.org>
S: 550 5.1.1 <"a nn"@example.org> there is no such mailbox here
C: RCPT TO:<+ann@example.org>
S: 550 5.1.1 <+ann@example.org> there is no such mailbox here
C: RCPT TO:<gr\xc3\xbc\xc3\x9fe@example.org>
S: 250 2.1.5 <gr\xc3\xbc\xc3\x9fe@example.org> recipient ok
C: RCPT TO:<PostMaster@other.example>
S: 250 2.1.5 <PostMaster@other.example> recipient ok
C: RCPT TO:<postmaster>
S: 250 2.1.5 <postmaster> recipient ok
C: RCPT TO:<hostmaster@example.org>
S: 250 2.1.5 <hostmaster@example.org> recipient ok
C: RCPT TO:<postmaster@elsewhere.example>
S: 550 5.1.2 <postmaster@elsewhere.example> mail for this domain is not taken here
C: RCPT TO:<carl@other.example>
S: 550 5.1.1 <carl@other.example> there is no such mailbox here
C: RCPT TO:<carl@elsewhere.example>
S: 550 5.1.2 <carl@elsewhere.example> mail for this domain is not taken here
C: DATA
S: 354 go on; end with CRLF.CRLF
C: Subject: \xc3\xa4\r\n\r\n.
S~ 250 2\.0\.0 <ann> delivered, id .*
S~ 250 2\.0\.0 <ANN@EXAMPLE.ORG> delivered, id .*
S~ 250 2\.0\.0 <ann@example.org> delivered, id .*
S~ 250 2\.0\.0 <ann@example.org> delivered, id .*
S~ 250 2\.0\.0 <ann\+tag\+more@example.org> delivered, id .*
S~ 250 2\.0\.0 <ben\+lists@example.org> delivered, id .*
S~ 250 2\.0\.0 <ben\+other@example.org> delivered, id .*
S~ 250 2\.0\.0 <gr.*e@example.org> delivered, id .*
S~ 250 2\.0\.0 <PostMaster@other.example> delivered, id .*
S~ 250 2\.0\.0 <postmaster> delivered, id .*
S~ 250 2\.0\.0 <hostmaster@example.org> delivered, id .*
C: QUIT
S~ 221 .*
!end
M: ann 1
M: ben+lists 1
M: ben 1
M: grüße 1
M: stand-in 1
M~ ann ^Return-Path: <a@x.org>\nDelivered-To: ann@example.org\nReceived: .* with UTF8LMTP id

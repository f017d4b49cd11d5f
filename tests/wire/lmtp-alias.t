# users: ann@example.org=restante ben@example.org=restante
# domain: example.org
# alias: all@example.org=ann@example.org,ben@example.org,ann+tag@example.org self@example.org=self@example.org
# alias: one@example.org=two@example.org two@example.org=one@example.org out@example.org=ann@example.org,x@elsewhere.example
# alias: gone@example.org=nobody@example.org postmaster@example.org=ben@example.org ben@example.org=ben@example.org,x@elsewhere.example
# delivery: max_errors=100
# aliases: one level, no circles, no relaying
!port lmtp
S~ 220 .*
C: LHLO me
S- *
C: MAIL FROM:<a@x.org>
S~ 250 2.1.0.*
C: RCPT TO:<self@example.org>
S: 550 5.1.1 <self@example.org> there is no such mailbox here
C: RCPT TO:<one@example.org>
S: 550 5.4.6 <one@example.org> the alias leads to another alias, perhaps in a circle
C: RCPT TO:<out@example.org>
S: 550 5.7.1 <out@example.org> the alias leads elsewhere; this server does not relay
C: RCPT TO:<gone@example.org>
S: 550 5.1.1 <gone@example.org> the alias leads to a mailbox that does not exist
C: RCPT TO:<all+x@example.org>
S: 250 2.1.5 <all+x@example.org> recipient ok
C: RCPT TO:<postmaster@example.org>
S: 250 2.1.5 <postmaster@example.org> recipient ok
C: DATA
S: 354 go on; end with CRLF.CRLF
C: Subject: all\r\n\r\n.
S~ 250 2\.0\.0 <all\+x@example.org> delivered, id .*
S~ 250 2\.0\.0 <postmaster@example.org> delivered, id .*
M: ann 1
M: ben 1
M~ ben ^Return-Path: <a@x.org>\nDelivered-To: ben@example.org\n
C: MAIL FROM:<a@x.org>
S~ 250 2.1.0.*
C: RCPT TO:<all@example.org>
S~ 250 2.1.5.*
C: RCPT TO:<ben@example.org>
S~ 250 2.1.5.*
C: DATA
S: 354 go on; end with CRLF.CRLF
C: Received: x\r\nDelivered-To: all@example.org\r\n\r\n.
S: 554 5.4.6 <all@example.org> the message was delivered here before: it goes round in circles
S~ 250 2\.0\.0 <ben@example.org> delivered, id .*
M: ann 1
M: ben 2
C: QUIT
S~ 221 .*
!end

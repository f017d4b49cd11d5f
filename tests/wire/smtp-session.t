# users: ann=restante ben=restante postmaster=restante
# delivery: -
# the same engine with one reply; HELO; never a relay
!port smtp
S~ 220 \S+ ESMTP restante
C: LHLO me
S: 500 5.5.1 this is SMTP: EHLO or HELO, please
C: MAIL FROM:<a@example.org>
S: 503 5.5.1 EHLO or HELO first
C: EHLO client.example.org
S- SMTPUTF8
C: MAIL FROM:<\xc3\xa4@example.org>
S: 553 5.6.7 an internationalized address needs SMTPUTF8
C: MAIL FROM:<clerk@example.org>
S: 250 2.1.0 sender ok
C: RCPT TO:<\xc3\xa4nn>
S: 553 5.6.7 an internationalized address needs SMTPUTF8
C: RCPT TO:<ann>
S: 250 2.1.5 <ann> recipient ok
C: RCPT TO:<ann>
S: 250 2.1.5 <ann> recipient ok
C: RCPT TO:<stranger@elsewhere.example>
S~ 550 5\.1\.[12] <stranger@elsewhere\.example> .*
C: RCPT TO:<@relay.example:ben>
S: 250 2.1.5 <ben> recipient ok
C: RCPT TO:<Postmaster>
S: 250 2.1.5 <Postmaster> recipient ok
C: DATA
S: 354 go on; end with CRLF.CRLF
C: Subject: three
C: 
C: text
C: .
S~ 250 2\.0\.0 delivered, id \S+
M: ann 1
M: ben 1
M: postmaster 1
M~ ann with ESMTP id
C: HELO client.example.org
S~ 250 \S+
C: MAIL FROM:<clerk@example.org>
S: 250 2.1.0 sender ok
C: RCPT TO:<ben>
S: 250 2.1.5 <ben> recipient ok
C: DATA
S: 354 go on; end with CRLF.CRLF
C: .
S~ 250 2\.0\.0 delivered, id \S+
M~ ben with SMTP id
C: QUIT
S: 221 2.0.0 bye
!end

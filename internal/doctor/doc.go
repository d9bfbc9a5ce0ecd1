// Package doctor checks what this machine supports of what subuidless uses, and reports it in
// terms that a user can act on. It tries the features instead of comparing version numbers:
// distributions backport features, and administrators forbid them.
package doctor

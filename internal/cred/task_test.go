package cred_test

func target() {}

"""TFLite files: conversion, int8, metadata, and what is measured of them."""
